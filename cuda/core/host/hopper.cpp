// SPDX-License-Identifier: MIT
#include "cuda/core/hopper.cuh"

#include <array>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <vector>

#include "cuda/core/wgmma.cuh"
#include "reference/formats/bf16.hpp"
#include "reference/formats/format.hpp"
#include "reference/linear/tensor_core.hpp"

namespace dsv3::cuda {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::logic_error(what);
}

/// A barrier's word: arrivals of a phase, those that are still to come, bytes that are, and the phase's parity.
struct State {
  std::uint32_t arrivals : 12, pending : 12, parity : 1, is_made : 7;
  std::int32_t bytes;
};
static_assert(sizeof(State) == sizeof(Barrier));
constexpr std::uint32_t made = 0x2A;

State& state_of(Barrier& barrier) {
  State& state = reinterpret_cast<State&>(barrier);
  require(state.is_made == made, "a barrier is used before init");
  return state;
}

void complete_if_done(State& state) {
  if (state.pending != 0 || state.bytes != 0) return;
  state.pending = state.arrivals;
  state.parity ^= 1;
}

void arrive_at(Barrier& barrier, int bytes) {
  State& state = state_of(barrier);
  require(state.pending > 0, "more threads arrive at a barrier than it expects");
  --state.pending, state.bytes += bytes;
  complete_if_done(state);
}

/// What tensor_map says, read back.
struct Map {
  const std::byte* data;
  std::int64_t rows, row_bytes, stride_bytes, box_rows, value_bytes;
};
static_assert(sizeof(Map) <= sizeof(TensorMap));

template <class T>
TensorMap map_of(const T* data, std::int64_t rows, std::int64_t cols, std::int64_t stride, int box_rows) {
  const std::int64_t row_bytes = cols * std::int64_t{sizeof(T)}, stride_bytes = stride * std::int64_t{sizeof(T)};
  const auto invalid = [](const char* what) { throw std::invalid_argument(what); };
  if (reinterpret_cast<std::uintptr_t>(data) % 16 != 0) invalid("tensor_map: the address is no multiple of 16");
  if (rows < 1 || row_bytes < 1) invalid("tensor_map: the matrix is empty");
  if (stride_bytes % 16 != 0 || stride_bytes < row_bytes)
    invalid("tensor_map: the bytes from row to row must be a multiple of 16, and hold a row");
  if (box_rows < 1 || box_rows > 256) invalid("tensor_map: a box has 1 to 256 rows");
  TensorMap map{};
  const Map content{reinterpret_cast<const std::byte*>(data), rows, row_bytes, stride_bytes, box_rows, sizeof(T)};
  std::memcpy(&map, &content, sizeof content);
  return map;
}

/// One row of 64 of A or of N of B: 32 bytes.
using Piece = std::array<std::uint8_t, mma_bytes>;

Piece piece_at(std::uint64_t descriptor, int row) {
  require(descriptor >> 62 == 1 && (descriptor >> 32 & 0x3FFF) == 64, "a descriptor of another layout");
  const auto start = static_cast<std::uint32_t>(descriptor & 0x3FFF) << 4;
  Piece piece;
  for (std::uint32_t i = 0; i < mma_bytes; i += 16) {
    const std::uint32_t at = start + static_cast<std::uint32_t>(row) * swizzle_bytes + i;
    std::memcpy(piece.data() + i, shared_memory() + swizzled(at), 16);
  }
  return piece;
}

struct Product {
  Mma type;
  std::uint64_t a, b;
  int n;
  bool adds;
  std::array<float*, warpgroup_size> d;
};

/// The values of 64 rows of A, or of N of B, that one instruction multiplies.
std::vector<std::array<float, mma_bytes>> rows_of(std::uint64_t descriptor, int rows, Mma type) {
  std::vector<std::array<float, mma_bytes>> values(static_cast<std::size_t>(rows));
  for (int row = 0; row < rows; ++row) {
    const Piece piece = piece_at(descriptor, row);
    auto& of_row = values[static_cast<std::size_t>(row)];
    const auto table = values_of(type == Mma::e5m2 ? FormatId::e5m2 : FormatId::e4m3);
    for (std::size_t i = 0; i < mma_bytes; ++i)
      if (type != Mma::bf16) of_row[i] = table[piece[i]];
      else if (i % 2 == 0) {
        std::uint16_t code;
        std::memcpy(&code, piece.data() + i, 2);
        of_row[i / 2] = float_from_bf16(code);
      }
  }
  return values;
}

/// BF16: rounded once, where the device cuts what it aligns.
float sum_of(const Product& p, float c, const std::array<float, mma_bytes>& a, const std::array<float, mma_bytes>& b) {
  if (p.type != Mma::bf16) {
    const int least = format(p.type == Mma::e5m2 ? FormatId::e5m2 : FormatId::e4m3).min_exponent();
    return tensor_core_step(hopper_fp8_wgmma, c, {a, least}, {b, least});
  }
  double sum = c;
  for (std::size_t i = 0; i < mma_bytes / 2; ++i) sum += double{a[i]} * b[i];
  return static_cast<float>(sum);
}

void execute(const Product& p) {
  const auto a = rows_of(p.a, mma_rows, p.type), b = rows_of(p.b, 2 * p.n, p.type);
  for (int t = 0; t < warpgroup_size; ++t)
    for (int i = 0; i < p.n; ++i) {
      float& d = p.d[static_cast<std::size_t>(t)][i];
      d = sum_of(p, p.adds ? d : 0.0f, a[static_cast<std::size_t>(accumulator_row(t, i))],
                 b[static_cast<std::size_t>(accumulator_col(t, i))]);
    }
}

/// The products of a warpgroup that are not done. They are done when somebody waits for them, no earlier: a tile that
/// is overwritten before is noticed.
struct Queue {
  bool may_begin = false;
  std::vector<Product> open;
  std::deque<std::vector<Product>> groups;
};

Queue& queue() {
  static const char owner = 0;
  auto& content = host::belonging(&owner, host::group(warpgroup_size));
  if (!content) content = std::make_shared<Queue>();
  return *static_cast<Queue*>(content.get());
}

void in_step(const std::function<void()>& once) { host::meet(warpgroup_size, once); }

}  // namespace

void Barrier::init(int arrivals) {
  reinterpret_cast<State&>(*this) = {.arrivals = static_cast<std::uint32_t>(arrivals) & 0xFFF,
                                     .pending = static_cast<std::uint32_t>(arrivals) & 0xFFF,
                                     .parity = 0,
                                     .is_made = made,
                                     .bytes = 0};
}
void Barrier::arrive() { arrive_at(*this, 0); }
void Barrier::arrive_and_expect(int bytes) { arrive_at(*this, bytes); }
void Barrier::wait(int parity) {
  state_of(*this);
  host::wait_until([this, parity] { return state_of(*this).parity != static_cast<unsigned>(parity); });
}

TensorMap tensor_map(const std::uint8_t* data, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     int box_rows) {
  return map_of(data, rows, cols, stride, box_rows);
}
TensorMap tensor_map(const std::uint16_t* data, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     int box_rows) {
  return map_of(data, rows, cols, stride, box_rows);
}

void copy_tile(void* shared, const TensorMap& map, int row, int col, Barrier& done) {
  Map m;
  std::memcpy(&m, &map, sizeof m);
  require(shared_address(shared) % 1024 == 0, "a tile does not begin at a multiple of 1024 bytes");
  const std::int64_t col_bytes = col * m.value_bytes;
  host::later([=, to = static_cast<std::byte*>(shared), &done] {
    for (std::int64_t r = 0; r < m.box_rows; ++r)
      for (std::int64_t i = 0; i < swizzle_bytes; ++i) {
        const std::int64_t from_row = row + r, from = col_bytes + i;
        const bool inside = 0 <= from_row && from_row < m.rows && 0 <= from && from < m.row_bytes;
        to[swizzled(static_cast<std::uint32_t>(r * swizzle_bytes + i))] =
            inside ? m.data[from_row * m.stride_bytes + from] : std::byte{0};
      }
    State& state = state_of(done);
    state.bytes -= static_cast<std::int32_t>(m.box_rows * swizzle_bytes);
    complete_if_done(state);
  });
}

void mma_begin() {
  in_step([] { queue().may_begin = true; });
}

void mma(Mma type, float* d, int n, std::uint64_t a_tile, std::uint64_t b_tile, bool adds) {
  std::memcpy(host::slots_of_group(warpgroup_size) + thread() % warpgroup_size * 8, &d, sizeof d);
  in_step([&] {
    require(queue().may_begin, "a product without mma_begin");
    Product product{type, a_tile, b_tile, n, adds, {}};
    std::memcpy(product.d.data(), host::slots_of_group(warpgroup_size), sizeof product.d);
    queue().open.push_back(product);
  });
}

void mma_commit() {
  in_step([] {
    queue().groups.push_back(std::move(queue().open));
    queue().open.clear();
  });
}

void mma_wait_for(int left) {
  in_step([left] {
    auto& groups = queue().groups;
    for (; static_cast<int>(groups.size()) > left; groups.pop_front())
      for (const Product& product : groups.front()) execute(product);
    if (left == 0) queue().may_begin = false;
  });
}

}  // namespace dsv3::cuda
