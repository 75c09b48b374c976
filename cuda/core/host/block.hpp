// SPDX-License-Identifier: MIT
/// \file
/// A thread block on the CPU: every thread is a fiber that runs until it waits, in an order drawn anew for each round,
/// and now and then a whole warp stands still while the others go on, so that what a kernel forgets to wait for is
/// found. Shared memory begins as NaNs. What is asynchronous on the device (TMA copies, what products read) happens at
/// a moment drawn as well. Threads that wait for what never comes are an error, not a hang.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace dsv3::cuda {

int thread();
int num_threads();
int block();
int block_y();
int num_blocks();

void sync_threads();
void sync_warp();
void sync_some(int barrier, int threads);
std::byte* shared_memory();

namespace host {

struct Grid {
  int x, y, threads;
  std::size_t shared_bytes;
};

/// Runs all threads of all blocks, block after block.
/// \throws std::logic_error where threads wait for ever; what a kernel throws passes through.
void run(const Grid& grid, const std::function<void()>& kernel);
/// Draws the order of events in all that runs from now on.
void shuffle_events(std::uint64_t seed);

/// The calling thread goes on when this is true.
void wait_until(const std::function<bool()>& ready);
/// Happens at some moment from now on, in no order.
void later(std::function<void()> event);
/// The `count` threads (a whole warp, a whole warpgroup) that contain this one have all come here; the last calls
/// `all`.
void meet(int count, const std::function<void()>& all);
/// Eight bytes for each of the `count` threads of the group (a whole warp, a whole warpgroup) that contains this one.
std::byte* slots_of_group(int count);
/// Which run of `count` threads this one belongs to.
inline int group(int count) { return thread() / count; }
/// What belongs to the running block and to `owner` and `number`, made when it is first asked for.
std::shared_ptr<void>& belonging(const void* owner, int number);

}  // namespace host

template <class T>
T shuffle(T value, int from_lane) {
  static_assert(sizeof(T) <= 8);
  T* const values = reinterpret_cast<T*>(host::slots_of_group(32));
  values[thread() % 32] = value;
  host::meet(32, [] {});
  const T result = values[from_lane % 32];
  host::meet(32, [] {});
  return result;
}

template <class T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, (thread() % 32) ^ mask);
}

}  // namespace dsv3::cuda
