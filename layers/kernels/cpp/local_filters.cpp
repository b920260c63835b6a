// Local connectivity position by position, for any CPU that GCC or Clang compiles for.
//
// At each output position the filter is formed from the K banks (or read, if stored) and multiplied with the whole
// batch while it lies in the cache, so the rank costs K/N of a convolution. Nothing here knows torch: plain C
// functions over pointers, loaded with ctypes (layers/cpp_extension.py), threads of the standard library.
//
// Layouts: images (N, H, W, C) in `T` (float, double or bfloat16); all arithmetic and all else in `real` (float for
// bfloat16). Channels that are the width of a product are padded to whole vectors, with zeros.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kTileRows = 12;  // 32 registers: 24 accumulators
#elif defined(__AVX__)
constexpr int kVectorBytes = 32, kTileRows = 6;  // 16 registers: 12 accumulators
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16, kTileRows = 12;
#else
constexpr int kVectorBytes = 16, kTileRows = 6;
#endif

constexpr int64_t kBlockBytes = 192 << 10;  // accumulators of a block of positions: within half an L2 cache
constexpr int64_t kMaxBlock = 8;            // positions
constexpr int64_t kNarrow = 16;             // under so many channels a patch is gathered into one row

struct bfloat16 {
  uint16_t bits;
};

template <typename T>
struct Real {
  using type = T;
};
template <>
struct Real<bfloat16> {
  using type = float;
};

inline float load(bfloat16 v) {
  uint32_t bits = uint32_t(v.bits) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline float load(float v) { return v; }
inline double load(double v) { return v; }

inline void store(float& to, float v) { to = v; }
inline void store(double& to, double v) { to = v; }
inline void store(bfloat16& to, float v) {  // round to nearest, ties to even; NaN stays NaN
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  to.bits = v == v ? uint16_t(rounded >> 16) : uint16_t(0x7fc0);
}

template <typename real>
struct Vector {
  typedef real type __attribute__((vector_size(kVectorBytes)));
  typedef real unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(real)), may_alias));
  static constexpr int lanes = kVectorBytes / sizeof(real);
};

// c (R, 2 vectors) [+]= a (R, depth) * b (depth, 2 vectors), held in registers throughout.
template <typename real, int R>
inline void multiply_tile(int64_t depth, const real* a, int64_t row, int64_t column, const real* b, int64_t b_row,
                          real* c, int64_t c_row, bool accumulate) {
  using V = Vector<real>;
  using vec = typename V::type;
  using memory = typename V::unaligned;
  vec sum[R][2];
#pragma GCC unroll 12
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++)
      sum[r][v] = accumulate ? vec(*(const memory*)(c + r * c_row + v * V::lanes)) : vec{};
  for (int64_t k = 0; k < depth; k++) {
    vec b0 = *(const memory*)(b + k * b_row), b1 = *(const memory*)(b + k * b_row + V::lanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
      real scalar = a[r * row + k * column];
      sum[r][0] += scalar * b0;
      sum[r][1] += scalar * b1;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) *(memory*)(c + r * c_row + v * V::lanes) = sum[r][v];
}

template <typename real, int R = kTileRows>
inline void multiply_rows(int64_t rows, int64_t depth, const real* a, int64_t row, int64_t column, const real* b,
                          int64_t b_row, real* c, int64_t c_row, bool accumulate) {
  if constexpr (R > 0) {
    if (rows == R)
      multiply_tile<real, R>(depth, a, row, column, b, b_row, c, c_row, accumulate);
    else
      multiply_rows<real, R - 1>(rows, depth, a, row, column, b, b_row, c, c_row, accumulate);
  }
}

// c (rows, width) [+]= a (rows, depth) * b (depth, width), where width is a multiple of 2 vectors. `row` and `column`
// are the strides of a, `b_row` and `c_row` those between rows of b and c.
template <typename real>
void multiply(int64_t rows, int64_t width, int64_t depth, const real* a, int64_t row, int64_t column, const real* b,
              int64_t b_row, real* c, int64_t c_row, bool accumulate) {
  constexpr int64_t step = 2 * Vector<real>::lanes;
  for (int64_t w = 0; w < width; w += step)
    for (int64_t r = 0; r < rows; r += kTileRows)
      multiply_rows<real>(std::min<int64_t>(kTileRows, rows - r), depth, a + r * row, row, column, b + w, b_row,
                          c + r * c_row + w, c_row, accumulate);
}

template <typename real>
int64_t padded(int64_t channels) {
  constexpr int64_t step = 2 * Vector<real>::lanes;
  return (channels + step - 1) / step * step;
}

// The sizes of one call; `source` is what is read position by position, `target` what is written.
struct Sizes {
  int64_t images, source_h, source_w, source_c, target_h, target_w, target_c, banks;
  int64_t kernel_h, kernel_w, stride_h, stride_w, top, left, dilation_h, dilation_w;
  int64_t backward;  // 0: target is the layer's output; 1: target is the gradient of its input

  int64_t taps() const { return kernel_h * kernel_w; }

  // The source index that `tap` reads for a target index, or -1.
  int64_t source(int64_t target, int64_t tap, int64_t size, int64_t stride, int64_t pad, int64_t dilation) const {
    int64_t at = backward ? target + pad - tap * dilation : target * stride + tap * dilation - pad;
    if (backward) {
      if (at < 0 || at % stride) return -1;
      at /= stride;
    }
    return at >= 0 && at < size ? at : -1;
  }
  int64_t source_row(int64_t target, int64_t tap) const {
    return source(target, tap, source_h, stride_h, top, dilation_h);
  }
  int64_t source_column(int64_t target, int64_t tap) const {
    return source(target, tap, source_w, stride_w, left, dilation_w);
  }
  int64_t rows_in_reach() const { return (kernel_h - 1) * dilation_h / (backward ? stride_h : 1) + 2; }
};

// Rows of some images as (W, N, width) in `real`, each copied when first asked for: a patch's pixel of the whole
// batch is then contiguous, where (N, H, W, C) has a power-of-two stride that defeats caches.
template <typename T>
class Rows {
  using real = typename Real<T>::type;

 public:
  Rows(const T* images, int64_t h, int64_t w, int64_t c, int64_t width, int64_t kept)
      : images_(images), h_(h), w_(w), c_(c), width_(width), held_(kept, -1) {}

  void select(int64_t first, int64_t count) {
    first_ = first, count_ = count;
    std::fill(held_.begin(), held_.end(), -1);
    row_size_ = w_ * count * width_;
    values_.assign(held_.size() * row_size_, real(0));
  }

  const real* pixel(int64_t row, int64_t column) {
    int64_t slot = row % int64_t(held_.size());
    real* to = values_.data() + slot * row_size_;
    if (held_[slot] != row) {
      held_[slot] = row;
      for (int64_t n = 0; n < count_; n++) {
        const T* from = images_ + ((first_ + n) * h_ + row) * w_ * c_;
        for (int64_t w = 0; w < w_; w++)
          for (int64_t c = 0; c < c_; c++) to[(w * count_ + n) * width_ + c] = load(from[w * c_ + c]);
      }
    }
    return to + column * count_ * width_;
  }

 private:
  const T* images_;
  int64_t h_, w_, c_, width_, first_ = 0, count_ = 0, row_size_ = 0;
  std::vector<int64_t> held_;
  std::vector<real> values_;
};

// filter (size) = sum_k weights[k] * banks[k][offset:]
template <typename real>
void combine(real* __restrict filter, const real* __restrict banks, const real* weights, int64_t count, int64_t stride,
             int64_t size) {
  int64_t k = 0;
  for (; k + 4 <= count; k += 4) {
    const real *f0 = banks + k * stride, *f1 = f0 + stride, *f2 = f1 + stride, *f3 = f2 + stride;
    const real a = weights[k], b = weights[k + 1], c = weights[k + 2], d = weights[k + 3];
    if (k == 0)
      for (int64_t q = 0; q < size; q++) filter[q] = a * f0[q] + b * f1[q] + c * f2[q] + d * f3[q];
    else
      for (int64_t q = 0; q < size; q++) filter[q] += a * f0[q] + b * f1[q] + c * f2[q] + d * f3[q];
  }
  for (; k < count; k++) {
    const real a = weights[k];
    const real* f = banks + k * stride;
    if (k == 0)
      for (int64_t q = 0; q < size; q++) filter[q] = a * f[q];
    else
      for (int64_t q = 0; q < size; q++) filter[q] += a * f[q];
  }
}

// work(part, first row, end row) for each of `parts` runs of rows, taken by whichever thread is free: a core that is
// shared does not hold up the others. What is computed depends on the parts alone, so repeated runs agree.
template <typename Work>
void in_parallel(int64_t rows, int64_t parts, int64_t threads, Work work) {
  std::atomic<int64_t> next{0};
  auto take = [&] {
    for (int64_t part; (part = next++) < parts;) work(part, rows * part / parts, rows * (part + 1) / parts);
  };
  std::vector<std::thread> others;
  for (int64_t t = 1; t < std::min(threads, parts); t++) others.emplace_back(take);
  take();
  for (auto& other : others) other.join();
}

inline int64_t images_at_once(int64_t images, int64_t width, int64_t size) {
  int64_t most = std::max<int64_t>(kTileRows, kBlockBytes / (width * size));
  int64_t blocks = (images + most - 1) / most;
  return (images + blocks - 1) / blocks;
}

// target = sum over taps of source pixels * filters. Filters are formed from `banks` (K, taps, source_c, width) and
// `weights` (positions of the layer's output, K); or read from `filters` (positions, taps * C_in, C_out).
template <typename T>
void apply(const Sizes& s, const T* source, T* target, const typename Real<T>::type* banks,
           const typename Real<T>::type* weights, const T* filters, int64_t parts, int64_t threads) {
  using real = typename Real<T>::type;
  const int64_t width = padded<real>(s.target_c), taps = s.taps(), pixel_size = s.source_c * width;
  const bool gather = s.source_c < kNarrow;
  const int64_t weights_w = s.backward ? s.source_w : s.target_w;
  const int64_t step = images_at_once(s.images, width, sizeof(real));
  in_parallel(s.target_h, parts, threads, [&](int64_t, int64_t first_row, int64_t end_row) {
    const int64_t most = std::clamp<int64_t>(kBlockBytes / (step * width * int64_t(sizeof(real))), 1, kMaxBlock);
    std::vector<real> sums(most * step * width), filter(gather ? taps * pixel_size : pixel_size, real(0));
    std::vector<real> patch(gather ? step * taps * s.source_c : 0);
    Rows<T> rows(source, s.source_h, s.source_w, s.source_c, s.source_c, s.rows_in_reach());

    auto form = [&](real* to, int64_t tap, int64_t position) {
      if (banks) {
        combine(to, banks + tap * pixel_size, weights + position * s.banks, s.banks, taps * pixel_size, pixel_size);
      } else if (!s.backward) {
        const T* f = filters + (position * taps + tap) * s.source_c * s.target_c;
        for (int64_t r = 0; r < s.source_c; r++)
          for (int64_t c = 0; c < s.target_c; c++) to[r * width + c] = load(f[r * s.target_c + c]);
      } else {  // transposed, in squares that fit the cache's lines
        const T* f = filters + (position * taps + tap) * s.source_c * s.target_c;
        for (int64_t r0 = 0; r0 < s.source_c; r0 += 16)
          for (int64_t c = 0; c < s.target_c; c++)
            for (int64_t r = r0; r < std::min(r0 + 16, s.source_c); r++)
              to[r * width + c] = load(f[c * s.source_c + r]);
      }
    };

    for (int64_t first = 0; first < s.images; first += step) {
      const int64_t count = std::min(step, s.images - first);
      rows.select(first, count);
      for (int64_t i = first_row; i < end_row; i++)
        for (int64_t j0 = 0; j0 < s.target_w; j0 += most) {
          const int64_t block = std::min(most, s.target_w - j0);
          if (gather) {
            for (int64_t b = 0; b < block; b++) {
              std::fill(patch.begin(), patch.end(), real(0));
              std::fill(filter.begin(), filter.end(), real(0));
              for (int64_t tap = 0; tap < taps; tap++) {
                const int64_t h = s.source_row(i, tap / s.kernel_w), w = s.source_column(j0 + b, tap % s.kernel_w);
                if (h < 0 || w < 0) continue;
                const real* pixel = rows.pixel(h, w);
                for (int64_t n = 0; n < count; n++)
                  for (int64_t c = 0; c < s.source_c; c++)
                    patch[(n * taps + tap) * s.source_c + c] = pixel[n * s.source_c + c];
                form(filter.data() + tap * pixel_size, tap, s.backward ? h * weights_w + w : i * weights_w + j0 + b);
              }
              multiply<real>(count, width, taps * s.source_c, patch.data(), taps * s.source_c, 1, filter.data(),
                             width, sums.data() + b * step * width, width, false);
            }
          } else {
            std::fill(sums.begin(), sums.begin() + block * step * width, real(0));
            for (int64_t tap = 0; tap < taps; tap++) {
              const int64_t h = s.source_row(i, tap / s.kernel_w);
              if (h < 0) continue;
              for (int64_t b = 0; b < block; b++) {
                const int64_t w = s.source_column(j0 + b, tap % s.kernel_w);
                if (w < 0) continue;
                form(filter.data(), tap, s.backward ? h * weights_w + w : i * weights_w + j0 + b);
                multiply<real>(count, width, s.source_c, rows.pixel(h, w), s.source_c, 1, filter.data(),
                               width, sums.data() + b * step * width, width, true);
              }
            }
          }
          for (int64_t n = 0; n < count; n++) {
            T* to = target + (((first + n) * s.target_h + i) * s.target_w + j0) * s.target_c;
            for (int64_t b = 0; b < block; b++)
              for (int64_t c = 0; c < s.target_c; c++)
                store(to[b * s.target_c + c], sums[(b * step + n) * width + c]);
          }
        }
    }
  });
}

// The gradient G(p) of each position's filter: stored in `of_filters` (positions, taps * C_in, C_out); or folded
// into `of_banks` (parts, K, taps, C_in, width), one for each run of rows, and `of_weights` (positions, K), both zero
// at the start. `s` is the forward call's; `grad` is (N, target_h, target_w, target_c).
template <typename T>
void filter_gradients(const Sizes& s, const T* source, const T* grad, const typename Real<T>::type* banks,
                      const typename Real<T>::type* weights, typename Real<T>::type* of_banks,
                      typename Real<T>::type* of_weights, T* of_filters, int64_t parts, int64_t threads) {
  using real = typename Real<T>::type;
  const int64_t width = padded<real>(s.target_c), taps = s.taps(), pixel_size = s.source_c * width;
  const bool gather = s.source_c < kNarrow;
  const int64_t rounds = gather ? 1 : taps, depth = gather ? taps * s.source_c : s.source_c;
  const int64_t size = depth * width;
  // A stored gradient is written once, so it must see all images at once.
  const int64_t step = banks ? images_at_once(s.images, width, sizeof(real)) : s.images;
  in_parallel(s.target_h, parts, threads, [&](int64_t part, int64_t first_row, int64_t end_row) {
    const int64_t most = std::clamp<int64_t>(kBlockBytes / (size * int64_t(sizeof(real))), 1, kMaxBlock);
    std::vector<real> found(most * size), patch(gather ? step * depth : 0);
    Rows<T> rows(source, s.source_h, s.source_w, s.source_c, s.source_c, s.rows_in_reach());
    Rows<T> grads(grad, s.target_h, s.target_w, s.target_c, width, 1);
    real* sum = banks ? of_banks + part * s.banks * taps * pixel_size : nullptr;

    for (int64_t first = 0; first < s.images; first += step) {
      const int64_t count = std::min(step, s.images - first);
      rows.select(first, count);
      grads.select(first, count);
      for (int64_t i = first_row; i < end_row; i++)
        for (int64_t j0 = 0; j0 < s.target_w; j0 += most) {
          const int64_t block = std::min(most, s.target_w - j0);
          for (int64_t tap = 0; tap < rounds; tap++) {
            for (int64_t b = 0; b < block; b++) {
              real* g = found.data() + b * size;
              const real* pixel = patch.data();
              if (gather) {
                std::fill(patch.begin(), patch.end(), real(0));
                for (int64_t t = 0; t < taps; t++) {
                  const int64_t h = s.source_row(i, t / s.kernel_w), w = s.source_column(j0 + b, t % s.kernel_w);
                  if (h < 0 || w < 0) continue;
                  const real* from = rows.pixel(h, w);
                  for (int64_t n = 0; n < count; n++)
                    for (int64_t c = 0; c < s.source_c; c++)
                      patch[n * depth + t * s.source_c + c] = from[n * s.source_c + c];
                }
              } else {
                const int64_t h = s.source_row(i, tap / s.kernel_w), w = s.source_column(j0 + b, tap % s.kernel_w);
                pixel = h < 0 || w < 0 ? nullptr : rows.pixel(h, w);
              }
              if (pixel)
                multiply<real>(depth, width, count, pixel, 1, depth, grads.pixel(i, j0 + b), width, g, width, false);
              else
                std::fill(g, g + size, real(0));
            }
            if (!banks) {
              for (int64_t b = 0; b < block; b++) {
                const int64_t position = i * s.target_w + j0 + b;
                T* to = of_filters + (position * taps * s.source_c + tap * depth) * s.target_c;
                for (int64_t r = 0; r < depth; r++)
                  for (int64_t c = 0; c < s.target_c; c++)
                    store(to[r * s.target_c + c], found[b * size + r * width + c]);
              }
              continue;
            }
            const real* w = weights + (i * s.target_w + j0) * s.banks;
            real* of_w = of_weights + (i * s.target_w + j0) * s.banks;
            multiply<real>(s.banks, size, block, w, 1, s.banks, found.data(), size, sum + tap * size,
                           taps * pixel_size, true);
            for (int64_t k = 0; k < s.banks; k++) {
              const real* bank = banks + k * taps * pixel_size + tap * size;
              for (int64_t b = 0; b < block; b++) {
                using memory = typename Vector<real>::unaligned;
                constexpr int lanes = Vector<real>::lanes;
                typename Vector<real>::type even{}, odd{};
                const real* g = found.data() + b * size;
                for (int64_t q = 0; q < size; q += 2 * lanes) {
                  even += *(const memory*)(g + q) * *(const memory*)(bank + q);
                  odd += *(const memory*)(g + q + lanes) * *(const memory*)(bank + q + lanes);
                }
                real total = 0;
                for (int l = 0; l < lanes; l++) total += even[l] + odd[l];
                of_w[b * s.banks + k] += total;
              }
            }
          }
        }
    }
  });
}

}  // namespace

// `sizes` points to the fields of Sizes, in order. Null pointers stand for what a call does not have.
#define LRLC_EXPORT(NAME, T)                                                                                          \
  extern "C" void lrlc_apply_##NAME(const int64_t* sizes, const void* source, void* target, const void* banks,        \
                                    const void* weights, const void* filters, int64_t parts, int64_t threads) {       \
    using real = Real<T>::type;                                                                                       \
    apply<T>(*(const Sizes*)sizes, (const T*)source, (T*)target, (const real*)banks, (const real*)weights,            \
             (const T*)filters, parts, threads);                                                                      \
  }                                                                                                                   \
  extern "C" void lrlc_filter_gradients_##NAME(const int64_t* sizes, const void* source, const void* grad,            \
                                               const void* banks, const void* weights, void* of_banks,                \
                                               void* of_weights, void* of_filters, int64_t parts,                     \
                                               int64_t threads) {                                                     \
    using real = Real<T>::type;                                                                                       \
    filter_gradients<T>(*(const Sizes*)sizes, (const T*)source, (const T*)grad, (const real*)banks,                   \
                        (const real*)weights, (real*)of_banks, (real*)of_weights, (T*)of_filters, parts, threads);    \
  }                                                                                                                   \
  extern "C" int64_t lrlc_padded_##NAME(int64_t channels) { return padded<Real<T>::type>(channels); }

LRLC_EXPORT(float32, float)
LRLC_EXPORT(float64, double)
LRLC_EXPORT(bfloat16, bfloat16)
