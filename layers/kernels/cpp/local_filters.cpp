// Local connectivity position by position, for any CPU that GCC or Clang compiles for.
//
// At each output position the filter is formed from the K banks (or read, if stored) and multiplied with the whole
// batch while it lies in the cache, so the rank costs K/N of a convolution. Nothing here knows torch: plain C
// functions over pointers, loaded with ctypes (cpp_kernels.py), threads of the standard library.
//
// Layouts: images (N, H, W, C) in `T` (float, double or bfloat16); sums and all else in `real` (float for bfloat16).
// bfloat16 is multiplied in pairs where the processor does that, else as float (products.h). Channels that are the
// width of a product are padded to whole vectors, with zeros.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#include "products.h"

namespace {

constexpr int64_t kBlockBytes = 192 << 10;  // accumulators of a block of positions: within half an L2 cache
constexpr int64_t kMaxBlock = 8;            // positions
constexpr int64_t kNarrow = 16;             // under so many channels a patch is gathered into one row

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

// What a pair holds: two channels of an image, or one channel of two images.
enum class Pairing { channels, images };

// Rows of some images as (W, N, width) of operands, each copied when first asked for: a patch's pixel of the whole
// batch is then contiguous, where (N, H, W, C) has a power-of-two stride that defeats caches. Pairs of channels halve
// `width`, pairs of images N; what is missing is zero.
template <typename T, Pairing pairing = Pairing::channels>
class Rows {
  using O = Operand<T>;
  static constexpr bool paired = std::is_same_v<O, Pair>;

 public:
  // `width` counts channels, of which the images have `c`.
  Rows(const T* images, int64_t h, int64_t w, int64_t c, int64_t width, int64_t kept)
      : images_(images), h_(h), w_(w), c_(c), width_(width), held_(kept, -1) {
    if (paired && pairing == Pairing::channels) width_ = (width + 1) / 2;
  }

  void select(int64_t first, int64_t count) {
    first_ = first, count_ = count;
    groups_ = paired && pairing == Pairing::images ? (count + 1) / 2 : count;
    std::fill(held_.begin(), held_.end(), -1);
    row_size_ = w_ * groups_ * width_;
    values_.assign(held_.size() * row_size_, O{});
  }

  const O* pixel(int64_t row, int64_t column) {
    int64_t slot = row % int64_t(held_.size());
    O* to = values_.data() + slot * row_size_;
    if (held_[slot] != row) {
      held_[slot] = row;
      for (int64_t n = 0; n < groups_; n++)
        for (int64_t w = 0; w < w_; w++) copy(n, row, w, to + (w * groups_ + n) * width_);
    }
    return to + column * groups_ * width_;
  }

  int64_t groups() const { return groups_; }

 private:
  const T* image(int64_t n, int64_t row, int64_t w) const {
    return images_ + (((first_ + n) * h_ + row) * w_ + w) * c_;
  }
  void copy(int64_t n, int64_t row, int64_t w, O* to) const {
    if constexpr (!paired) {
      const T* from = image(n, row, w);
      for (int64_t c = 0; c < c_; c++) to[c] = load(from[c]);
    } else if constexpr (pairing == Pairing::channels) {
      std::memcpy(to, image(n, row, w), c_ * sizeof(T));
    } else {
      pair_up(image(2 * n, row, w), 2 * n + 1 < count_ ? image(2 * n + 1, row, w) : nullptr, to, c_);
    }
  }

  const T* images_;
  int64_t h_, w_, c_, width_, first_ = 0, count_ = 0, groups_ = 0, row_size_ = 0;
  std::vector<int64_t> held_;
  std::vector<O> values_;
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

// A tap's filter (C, width) as operands, from the banks; `formed` holds it in between where operands are pairs.
template <typename O, typename real>
void form_filter(O* to, real* formed, const real* banks, const real* weights, int64_t count, int64_t stride,
                 int64_t channels, int64_t width) {
  if constexpr (std::is_same_v<O, real>) {
    combine(to, banks, weights, count, stride, channels * width);
  } else {
    combine(formed, banks, weights, count, stride, channels * width);
    for (int64_t c = 0; c < channels; c += 2)
      pair_up(formed + c * width, c + 1 < channels ? formed + (c + 1) * width : nullptr, to + c / 2 * width, width);
  }
}

// The same of a stored filter (C_in, C_out), whose rows are the source's channels.
template <typename T>
void read_filter(Operand<T>* to, const T* stored, int64_t channels, int64_t targets, int64_t width) {
  if constexpr (std::is_same_v<Operand<T>, Pair>) {
    for (int64_t c = 0; c < channels; c += 2)
      pair_up(stored + c * targets, c + 1 < channels ? stored + (c + 1) * targets : nullptr, to + c / 2 * width,
              targets);
  } else {
    for (int64_t r = 0; r < channels; r++)
      for (int64_t c = 0; c < targets; c++) to[r * width + c] = load(stored[r * targets + c]);
  }
}

// The same of a stored filter (C_in, C_out) whose columns are the source's channels, in squares that fit cache lines.
template <typename T>
void read_transposed(Operand<T>* to, const T* stored, int64_t channels, int64_t targets, int64_t width) {
  constexpr bool paired = std::is_same_v<Operand<T>, Pair>;
  for (int64_t r0 = 0; r0 < channels; r0 += 16)
    for (int64_t c = 0; c < targets; c++) {
      const T* from = stored + c * channels;
      const int64_t end = std::min(r0 + 16, channels);
      if constexpr (paired)
        for (int64_t r = r0; r < end; r += 2)
          to[r / 2 * width + c] = {from[r].bits, r + 1 < channels ? from[r + 1].bits : uint16_t(0)};
      else
        for (int64_t r = r0; r < end; r++) to[r * width + c] = load(from[r]);
    }
}

// target = sum over taps of source pixels * filters. Filters are formed from `banks` (K, taps, source_c, width) and
// `weights` (positions of the layer's output, K); or read from `filters` (positions, taps * C_in, C_out).
template <typename T>
void apply(const Sizes& s, const T* source, T* target, const typename Real<T>::type* banks,
           const typename Real<T>::type* weights, const T* filters, int64_t parts, int64_t threads) {
  using real = typename Real<T>::type;
  using O = Operand<T>;
  constexpr int64_t steps = Product<O>::per_step;
  const int64_t width = padded<real>(s.target_c), taps = s.taps(), pixel_size = s.source_c * width;
  const int64_t depth = (s.source_c + steps - 1) / steps, filter_size = depth * width;  // of a tap, in operands
  const bool gather = s.source_c < kNarrow;
  const int64_t weights_w = s.backward ? s.source_w : s.target_w;
  const int64_t step = images_at_once(s.images, width, sizeof(real));
  in_parallel(s.target_h, parts, threads, [&](int64_t, int64_t first_row, int64_t end_row) {
    const int64_t most = std::clamp<int64_t>(kBlockBytes / (step * width * int64_t(sizeof(real))), 1, kMaxBlock);
    std::vector<real> sums(most * step * width), formed(steps > 1 && banks ? pixel_size : 0);
    std::vector<O> filter(gather ? taps * filter_size : filter_size, O{}), patch(gather ? step * taps * depth : 0);
    Rows<T> rows(source, s.source_h, s.source_w, s.source_c, s.source_c, s.rows_in_reach());

    auto form = [&](O* to, int64_t tap, int64_t position) {
      if (banks) {
        const real* of_tap = banks + tap * pixel_size;
        const real* w = weights + position * s.banks;
        form_filter(to, formed.data(), of_tap, w, s.banks, taps * pixel_size, s.source_c, width);
      } else {
        const T* stored = filters + (position * taps + tap) * s.source_c * s.target_c;
        (s.backward ? read_transposed<T> : read_filter<T>)(to, stored, s.source_c, s.target_c, width);
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
              std::fill(patch.begin(), patch.end(), O{});
              std::fill(filter.begin(), filter.end(), O{});
              for (int64_t tap = 0; tap < taps; tap++) {
                const int64_t h = s.source_row(i, tap / s.kernel_w), w = s.source_column(j0 + b, tap % s.kernel_w);
                if (h < 0 || w < 0) continue;
                const O* pixel = rows.pixel(h, w);
                for (int64_t n = 0; n < count; n++)
                  std::copy_n(pixel + n * depth, depth, patch.data() + (n * taps + tap) * depth);
                form(filter.data() + tap * filter_size, tap, s.backward ? h * weights_w + w : i * weights_w + j0 + b);
              }
              multiply<O>(count, width, taps * depth, patch.data(), taps * depth, 1, filter.data(), width,
                          sums.data() + b * step * width, width, false);
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
                multiply<O>(count, width, depth, rows.pixel(h, w), depth, 1, filter.data(), width,
                            sums.data() + b * step * width, width, true);
              }
            }
          }
          for (int64_t n = 0; n < count; n++) {
            T* to = target + (((first + n) * s.target_h + i) * s.target_w + j0) * s.target_c;
            for (int64_t b = 0; b < block; b++)
              store_all(to + b * s.target_c, sums.data() + (b * step + n) * width, s.target_c);
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
  using O = Operand<T>;  // pairs of images
  const int64_t width = padded<real>(s.target_c), taps = s.taps(), pixel_size = s.source_c * width;
  const bool gather = s.source_c < kNarrow;
  const int64_t rounds = gather ? 1 : taps, depth = gather ? taps * s.source_c : s.source_c;
  const int64_t size = depth * width;
  // A stored gradient is written once, so it must see all images at once.
  const int64_t step = banks ? images_at_once(s.images, width, sizeof(real)) : s.images;
  in_parallel(s.target_h, parts, threads, [&](int64_t part, int64_t first_row, int64_t end_row) {
    const int64_t most = std::clamp<int64_t>(kBlockBytes / (size * int64_t(sizeof(real))), 1, kMaxBlock);
    std::vector<real> found(most * size);
    std::vector<O> patch(gather ? step * depth : 0);
    Rows<T, Pairing::images> rows(source, s.source_h, s.source_w, s.source_c, s.source_c, s.rows_in_reach());
    Rows<T, Pairing::images> grads(grad, s.target_h, s.target_w, s.target_c, width, 1);
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
              const O* pixel = patch.data();
              if (gather) {
                std::fill(patch.begin(), patch.end(), O{});
                for (int64_t t = 0; t < taps; t++) {
                  const int64_t h = s.source_row(i, t / s.kernel_w), w = s.source_column(j0 + b, t % s.kernel_w);
                  if (h < 0 || w < 0) continue;
                  const O* from = rows.pixel(h, w);
                  for (int64_t n = 0; n < rows.groups(); n++)
                    std::copy_n(from + n * s.source_c, s.source_c, patch.data() + n * depth + t * s.source_c);
                }
              } else {
                const int64_t h = s.source_row(i, tap / s.kernel_w), w = s.source_column(j0 + b, tap % s.kernel_w);
                pixel = h < 0 || w < 0 ? nullptr : rows.pixel(h, w);
              }
              if (pixel)
                multiply<O>(depth, width, rows.groups(), pixel, 1, depth, grads.pixel(i, j0 + b), width, g, width,
                            false);
              else
                std::fill(g, g + size, real(0));
            }
            if (!banks) {
              for (int64_t b = 0; b < block; b++) {
                const int64_t position = i * s.target_w + j0 + b;
                T* to = of_filters + (position * taps * s.source_c + tap * depth) * s.target_c;
                for (int64_t r = 0; r < depth; r++)
                  store_all(to + r * s.target_c, found.data() + b * size + r * width, s.target_c);
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
