// Products of small matrices in registers: of float, double, and of bfloat16 in pairs where the processor has them.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

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

// Two bfloat16 that are multiplied together: one step of a product's depth is two.
struct Pair {
  uint16_t low, high;
};

// What products of T are made of: pairs where the processor multiplies them, adding up in float; else `real`.
#if defined(__AVX512BF16__)
constexpr bool kPairs = true;
#else
constexpr bool kPairs = false;
#endif
template <typename T>
using Operand = std::conditional_t<kPairs && std::is_same_v<T, bfloat16>, Pair, typename Real<T>::type>;

template <typename O>
struct Product {
  using real = O;
  using vec = typename Vector<O>::type;
  using memory = typename Vector<O>::unaligned;
  using operand = vec;
  static constexpr int64_t per_step = 1;
  static operand read(const O* from) { return *(const memory*)from; }
  static void add(vec& sum, O scalar, operand with) { sum += scalar * with; }
};

#if defined(__AVX512BF16__)
template <>
struct Product<Pair> {
  using real = float;
  using vec = Vector<float>::type;
  using memory = Vector<float>::unaligned;
  using operand = __m512i;
  static constexpr int64_t per_step = 2;
  static operand read(const Pair* from) { return _mm512_loadu_si512(from); }
  static void add(vec& sum, Pair scalar, operand with) {
    int bits;
    std::memcpy(&bits, &scalar, 4);
    sum = (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(bits), (__m512bh)with);
  }
};
#endif

// to (size) = pairs of low and high, or of low and zero
inline void pair_up(const bfloat16* low, const bfloat16* high, Pair* to, int64_t size) {
  if (high)
    for (int64_t i = 0; i < size; i++) to[i] = {low[i].bits, high[i].bits};
  else
    for (int64_t i = 0; i < size; i++) to[i] = {low[i].bits, 0};
}

#if defined(__AVX512BF16__)
inline __m512i rounded(const float* from) {  // 16 bfloat16 in the low halves
  return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from)));
}
// The same of floats; `size` is a multiple of 16.
inline void pair_up(const float* low, const float* high, Pair* to, int64_t size) {
  for (int64_t i = 0; i < size; i += 16) {
    __m512i both = rounded(low + i);
    if (high) both = _mm512_or_si512(both, _mm512_slli_epi32(rounded(high + i), 16));
    _mm512_storeu_si512(to + i, both);
  }
}
#endif

// to (size) = from, rounded to T
template <typename T, typename real>
inline void store_all(T* to, const real* from, int64_t size) {
  int64_t i = 0;
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<T, bfloat16>)
    for (; i + 16 <= size; i += 16) {
      __m256bh halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + i));
      std::memcpy(to + i, &halves, sizeof halves);
    }
#endif
  for (; i < size; i++) store(to[i], from[i]);
}

// c (R, 2 vectors) [+]= a (R, depth) * b (depth, 2 vectors), held in registers throughout.
template <typename O, int R>
inline void multiply_tile(int64_t depth, const O* a, int64_t row, int64_t column, const O* b, int64_t b_row,
                          typename Product<O>::real* c, int64_t c_row, bool accumulate) {
  using P = Product<O>;
  using vec = typename P::vec;
  using memory = typename P::memory;
  constexpr int lanes = Vector<typename P::real>::lanes;
  vec sum[R][2];
#pragma GCC unroll 12
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) sum[r][v] = accumulate ? vec(*(const memory*)(c + r * c_row + v * lanes)) : vec{};
  for (int64_t k = 0; k < depth; k++) {
    typename P::operand b0 = P::read(b + k * b_row), b1 = P::read(b + k * b_row + lanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
      O scalar = a[r * row + k * column];
      P::add(sum[r][0], scalar, b0);
      P::add(sum[r][1], scalar, b1);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; r++)
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) *(memory*)(c + r * c_row + v * lanes) = sum[r][v];
}

template <typename O, int R = kTileRows>
inline void multiply_rows(int64_t rows, int64_t depth, const O* a, int64_t row, int64_t column, const O* b,
                          int64_t b_row, typename Product<O>::real* c, int64_t c_row, bool accumulate) {
  if constexpr (R > 0) {
    if (rows == R)
      multiply_tile<O, R>(depth, a, row, column, b, b_row, c, c_row, accumulate);
    else
      multiply_rows<O, R - 1>(rows, depth, a, row, column, b, b_row, c, c_row, accumulate);
  }
}

// c (rows, width) [+]= a (rows, depth) * b (depth, width), where width is a multiple of 2 vectors and depth counts
// operands. `row` and `column` are the strides of a, `b_row` and `c_row` those between rows of b and c.
template <typename O>
void multiply(int64_t rows, int64_t width, int64_t depth, const O* a, int64_t row, int64_t column, const O* b,
              int64_t b_row, typename Product<O>::real* c, int64_t c_row, bool accumulate) {
  constexpr int64_t step = 2 * Vector<typename Product<O>::real>::lanes;
  for (int64_t w = 0; w < width; w += step)
    for (int64_t r = 0; r < rows; r += kTileRows)
      multiply_rows<O>(std::min<int64_t>(kTileRows, rows - r), depth, a + r * row, row, column, b + w, b_row,
                       c + r * c_row + w, c_row, accumulate);
}

template <typename real>
int64_t padded(int64_t channels) {
  constexpr int64_t step = 2 * Vector<real>::lanes;
  return (channels + step - 1) / step * step;
}

}  // namespace
