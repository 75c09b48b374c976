// SPDX-License-Identifier: MIT
#include "cuda/core/hopper.cuh"

#include <array>
#include <cstring>
#include <deque>
#include <memory>
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

/// Of one row of A or of B: 32 bytes.
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

/// What a warp multiplies in one instruction, its 16 of the 64 rows of A by all of B: wgmma makes the threads of a warp
/// wait for each other, not the warps of the warpgroup.
struct Product {
  Mma type;
  std::uint64_t a, b;
  int n;
  bool adds;
  int warp;  // of the warpgroup
  std::array<float*, warp_size> d;
  std::vector<Piece> a_rows{}, b_rows{};  // once they are read

  /// At some moment between the instruction and the wait for it.
  void read() {
    if (!b_rows.empty()) return;
    for (int row = 0; row < mma_rows / 4; ++row) a_rows.push_back(piece_at(a, warp * mma_rows / 4 + row));
    for (int row = 0; row < 2 * n; ++row) b_rows.push_back(piece_at(b, row));
  }
};

using Values = std::array<float, mma_bytes>;

std::vector<Values> values_of_rows(const std::vector<Piece>& rows, Mma type) {
  const auto& table = values_of(type == Mma::e5m2 ? FormatId::e5m2 : FormatId::e4m3);
  std::vector<Values> values(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (std::size_t i = 0; i < mma_bytes; ++i)
      if (type != Mma::bf16) values[row][i] = table[rows[row][i]];
      else if (i % 2 == 0) {
        std::uint16_t code;
        std::memcpy(&code, rows[row].data() + i, 2);
        values[row][i / 2] = float_from_bf16(code);
      }
  return values;
}

/// BF16: rounded once, where the device cuts what it aligns.
float sum_of(Mma type, float c, const Values& a, const Values& b) {
  if (type != Mma::bf16) {
    const int least = format(type == Mma::e5m2 ? FormatId::e5m2 : FormatId::e4m3).min_exponent();
    return tensor_core_step(hopper_fp8_wgmma, c, {a, least}, {b, least});
  }
  double sum = c;
  for (std::size_t i = 0; i < mma_bytes / 2; ++i) sum += double{a[i]} * b[i];
  return static_cast<float>(sum);
}

void execute(Product& p) {
  p.read();
  const auto a = values_of_rows(p.a_rows, p.type), b = values_of_rows(p.b_rows, p.type);
  for (int t = 0; t < warp_size; ++t)
    for (int i = 0; i < p.n; ++i) {
      float& d = p.d[static_cast<std::size_t>(t)][i];
      d = sum_of(p.type, p.adds ? d : 0.0f, a[static_cast<std::size_t>(accumulator_row(t, i))],
                 b[static_cast<std::size_t>(accumulator_col(t, i))]);
    }
}

/// The products of a warp that are not done. They are done when somebody waits for them, no earlier.
struct Queue {
  bool may_begin = false;
  std::vector<std::shared_ptr<Product>> open;
  std::deque<std::vector<std::shared_ptr<Product>>> groups;
};

Queue& queue() {
  static const char owner = 0;
  auto& content = host::belonging(&owner, host::group(warp_size));
  if (!content) content = std::make_shared<Queue>();
  return *static_cast<Queue*>(content.get());
}

void in_step(const std::function<void()>& once) { host::meet(warp_size, once); }

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
  std::memcpy(host::slots_of_group(warp_size) + lane() * 8, &d, sizeof d);
  in_step([&] {
    require(queue().may_begin, "a product without mma_begin");
    const int warp_of_group = warp() % (warpgroup_size / warp_size);
    const auto product = std::make_shared<Product>(Product{type, a_tile, b_tile, n, adds, warp_of_group, {}});
    std::memcpy(product->d.data(), host::slots_of_group(warp_size), sizeof product->d);
    queue().open.push_back(product);
    host::later([product] { product->read(); });
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
      for (const auto& product : groups.front()) execute(*product);
    if (left == 0) queue().may_begin = false;
  });
}

}  // namespace dsv3::cuda
