// SPDX-License-Identifier: MIT
#include "cuda/core/host/block.hpp"

#include <ucontext.h>

#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace dsv3::cuda {
namespace {

constexpr std::size_t stack_bytes = 128 * 1024, shared_alignment = 1024;
constexpr int poison = 0xFF;  // a NaN in every format

struct Fiber {
  ucontext_t context;
  std::unique_ptr<std::byte[]> stack;
  std::function<bool()> ready;  // none: it can go on
  bool ended = false;
};

/// Threads that wait for each other: each round has a number.
struct Meeting {
  int come = 0;
  std::uint64_t round = 0;
};

class Block {
 public:
  Block(const host::Grid& grid, int x, int y, std::uint64_t order, const std::function<void()>& kernel)
      : grid_(grid), x_(x), y_(y), random_(order), kernel_(kernel), storage_(grid.shared_bytes + shared_alignment) {
    void* aligned = storage_.data();
    std::size_t space = storage_.size();
    std::align(shared_alignment, grid.shared_bytes, aligned, space);
    shared_ = static_cast<std::byte*>(aligned);
    std::memset(shared_, poison, grid.shared_bytes);
    for (int t = 0; t < grid.threads; ++t) fibers_.push_back(begin());
  }

  /// Until every thread has ended and every event has happened.
  void run() {
    while (int left = step()) {
      if (left < 0) throw std::logic_error(stuck());
      if (error_) std::rethrow_exception(error_);
    }
    if (error_) std::rethrow_exception(error_);
  }

  void wait_until(const std::function<bool()>& ready) {
    Fiber& me = *fibers_[static_cast<std::size_t>(current_)];
    me.ready = ready;
    swapcontext(&me.context, &scheduler_);
  }

  void meet(Meeting& meeting, int count, const std::function<void()>& all) {
    if (++meeting.come == count) {
      meeting.come = 0, ++meeting.round;
      all();
      return;
    }
    wait_until([&meeting, round = meeting.round] { return meeting.round != round; });
  }

  const host::Grid& grid_;
  int x_, y_, current_ = 0;
  std::byte* shared_ = nullptr;
  std::map<std::pair<int, int>, Meeting> meetings_;  // by kind and number
  std::map<std::pair<int, int>, std::vector<std::byte>> slots_;
  std::map<std::pair<const void*, int>, std::shared_ptr<void>> belongings_;
  std::vector<std::function<void()>> events_;

 private:
  static void enter();

  std::unique_ptr<Fiber> begin() {
    auto fiber = std::make_unique<Fiber>();
    fiber->stack.reset(new std::byte[stack_bytes]);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = stack_bytes;
    fiber->context.uc_link = &scheduler_;
    makecontext(&fiber->context, enter, 0);
    return fiber;
  }

  bool draw(int one_in) { return random_() % static_cast<unsigned>(one_in) == 0; }

  /// Every thread that can, goes on once. 0: nothing is left; -1: nothing can go on.
  int step() {
    bool any = false, moved = false;
    const int n = grid_.threads, first = static_cast<int>(random_() % static_cast<unsigned>(n));
    const int stride = draw(2) ? 1 : n - 1;
    hold_a_warp();
    for (int i = 0; i < n; ++i) {
      const int t = (first + i * stride) % n;
      Fiber& fiber = *fibers_[static_cast<std::size_t>(t)];
      if (fiber.ended) continue;
      any = true;
      if (t / 32 == held_) continue;
      if (fiber.ready && !fiber.ready()) continue;
      fiber.ready = nullptr;
      current_ = t;
      swapcontext(&scheduler_, &fiber.context);
      moved = true;
      while (!events_.empty() && !events_wait_ && draw(64)) happen();
    }
    if (!moved && !events_.empty()) happen(), moved = true;
    if (!moved && held_ >= 0) held_ = -1, moved = true;
    if (!any && events_.empty()) return 0;
    return moved ? 1 : -1;
  }

  /// For some rounds one warp, or none, does not go on: others get ahead of it.
  void hold_a_warp() {
    if (held_rounds_-- > 0) return;
    held_rounds_ = static_cast<int>(random_() % 16);
    held_ = draw(2) ? static_cast<int>(random_() % static_cast<unsigned>(grid_.threads)) / 32 : -1;
  }

  void happen() {
    const std::size_t which = random_() % events_.size();
    const std::function<void()> event = std::move(events_[which]);
    events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(which));
    event();
  }

  std::string stuck() const {
    int waiting = 0, first = -1;
    for (int t = 0; t < grid_.threads; ++t)
      if (!fibers_[static_cast<std::size_t>(t)]->ended && waiting++ == 0) first = t;
    return "block " + std::to_string(x_) + ": " + std::to_string(waiting) + " threads, the first of them " +
           std::to_string(first) + ", wait for what never comes";
  }

  std::mt19937 random_;
  bool events_wait_ = draw(2);       // until no thread can go on, or not
  int held_ = -1, held_rounds_ = 0;  // a warp that waits, and for how long
  const std::function<void()>& kernel_;
  std::vector<std::byte> storage_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  ucontext_t scheduler_{};
  std::exception_ptr error_;
};

thread_local Block* running = nullptr;
thread_local std::uint64_t seed = 0;

void Block::enter() {
  Block& me = *running;
  try {
    me.kernel_();
  } catch (...) {
    me.error_ = std::current_exception();
  }
  me.fibers_[static_cast<std::size_t>(me.current_)]->ended = true;
}

enum Kind { whole_block, named, group_of };  // of meetings

}  // namespace

int thread() { return running->current_; }
int num_threads() { return running->grid_.threads; }
int block() { return running->x_; }
int block_y() { return running->y_; }
int num_blocks() { return running->grid_.x; }
std::byte* shared_memory() { return running->shared_; }

void sync_threads() {
  running->meet(running->meetings_[{whole_block, 0}], num_threads(), [] {});
}
void sync_warp() {
  host::meet(32, [] {});
}
void sync_some(int barrier, int threads) {
  running->meet(running->meetings_[{named, barrier}], threads, [] {});
}

namespace host {

void shuffle_events(std::uint64_t new_seed) { seed = new_seed; }

void run(const Grid& grid, const std::function<void()>& kernel) {
  for (int y = 0; y < grid.y; ++y)
    for (int x = 0; x < grid.x; ++x) {
      Block block(grid, x, y, ++seed, kernel);
      running = &block;
      block.run();
      running = nullptr;
    }
}

void wait_until(const std::function<bool()>& ready) { running->wait_until(ready); }
void later(std::function<void()> event) { running->events_.push_back(std::move(event)); }

void meet(int count, const std::function<void()>& all) {
  running->meet(running->meetings_[{group_of + count, group(count)}], count, all);
}

std::byte* slots_of_group(int count) {
  auto& slot = running->slots_[{count, group(count)}];
  if (slot.empty()) slot.resize(static_cast<std::size_t>(count) * 8);
  return slot.data();
}

std::shared_ptr<void>& belonging(const void* owner, int number) { return running->belongings_[{owner, number}]; }

}  // namespace host
}  // namespace dsv3::cuda
