// SPDX-License-Identifier: MIT
#include "reference/cli/bench.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "reference/cli/commands.hpp"
#include "reference/cli/peer_server.hpp"
#include "reference/cli/timing.hpp"
#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

constexpr double at_least = 0.02;  // seconds of a measurement

/// What the rounds of a row gave: seconds of a call, of its peer's just after, and the part of the ceiling taken just
/// before.
struct Measured {
  std::vector<double> seconds, peer, ratio, part, ceiling;
  double best_ratio(const Peer& p) const {
    return p.ratio(*std::min_element(seconds.begin(), seconds.end()), *std::min_element(peer.begin(), peer.end()));
  }
};

bool asks_a_server(const BenchRow& row) { return row.peer && !row.peer->request.empty(); }

/// How to take the peer's seconds: none where the row has no peer, or one that needs an environment that is not there.
std::function<double()> seconds_of_peer(const BenchRow& row, PeerServer* peers, bool one_thread) {
  if (!row.peer || (asks_a_server(row) && peers == nullptr)) return {};
  if (asks_a_server(row)) return [=, request = row.peer->request] { return peers->seconds(request); };
  const auto call = row.peer->make();
  call();
  return [=] { return seconds_of(call, one_thread, at_least); };
}

double ceiling_now(Ceiling ceiling, bool one_thread) {
  if (ceiling == Ceiling::fma) return fma_ceiling(one_thread);
  return ceiling == Ceiling::copy ? copy_ceiling(one_thread) : 0;
}

Measured measure(const BenchRow& row, Index rounds, PeerServer* peers, bool one_thread) {
  const auto call = row.make();
  call();  // first touch of memory and caches
  const auto peer = seconds_of_peer(row, peers, one_thread);
  Measured m;
  for (Index round = 0; round < rounds; ++round) {
    const double ceiling = ceiling_now(row.ceiling, one_thread);
    m.seconds.push_back(seconds_of(call, one_thread, at_least));
    if (peer) {
      m.peer.push_back(peer());
      m.ratio.push_back(row.peer->ratio(m.seconds.back(), m.peer.back()));
    }
    if (row.ceiling == Ceiling::none) continue;
    m.ceiling.push_back(ceiling);
    m.part.push_back(row.ceiling_work / m.seconds.back() / ceiling);
  }
  return m;
}

Spread spread_in(const Figure& figure, const std::vector<double>& seconds) {
  std::vector<double> all;
  for (const double s : seconds) all.push_back(figure.value(s));
  return spread_of(std::move(all));
}

nlohmann::ordered_json as_json(const Spread& s) { return {{"median", s.median}, {"p10", s.low}, {"p90", s.high}}; }

nlohmann::ordered_json peer_json(const BenchRow& row, const Measured& m) {
  const Peer& peer = *row.peer;
  nlohmann::ordered_json json{{"name", peer.name},
                              {row.figures[0].unit, as_json(spread_in(row.figures[0], m.peer))},
                              {"ratio", as_json(spread_of(m.ratio))},
                              {"best_ratio", m.best_ratio(peer)}};
  if (peer.goal == 0) return json;
  json[peer.at_most ? "goal_at_most" : "goal"] = peer.goal;
  json["reached"] = peer.reached(m.best_ratio(peer));
  return json;
}

std::string json_line(const BenchRow& row, const Measured& m, Index threads, const PeerServer* peers) {
  nlohmann::ordered_json line{{"name", row.name}, {"what", row.what}, {"threads", threads}};
  for (const Figure& figure : row.figures) {
    line[figure.unit] = as_json(spread_in(figure, m.seconds));
  }
  if (row.goal > 0) line["goal"] = row.goal;
  if (!m.peer.empty()) line["peer"] = peer_json(row, m);
  if (!m.peer.empty() && asks_a_server(row)) line["peer"]["versions"] = peers->what();
  if (m.part.empty()) return line.dump();
  line["ceiling"] = row.ceiling == Ceiling::fma ? "fma" : "copy";
  line["ceiling_value"] = spread_of(m.ceiling).median;
  line["part_of_ceiling"] = as_json(spread_of(m.part));
  return line.dump();
}

const char* word(bool reached) { return reached ? "reached" : "missed"; }

/// "  beside ml_dtypes: 0.31 Gelem/s; 24.1 times as fast (23.8 .. 24.6), best against best 24.3; goal 8: reached"
std::string peer_line(const BenchRow& row, const Measured& m) {
  const Peer& peer = *row.peer;
  const Spread theirs = spread_in(row.figures[0], m.peer), ratio = spread_of(m.ratio);
  std::string line =
      fmt::format("\n  beside {}: {:.4g} {}; {:.3g} times as {} ({:.3g} .. {:.3g}), best against best {:.3g}",
                  peer.name, theirs.median, row.figures[0].unit, ratio.median, peer.at_most ? "long" : "fast",
                  ratio.low, ratio.high, m.best_ratio(peer));
  if (peer.goal > 0)
    line += fmt::format("; goal {}{}: {}", peer.at_most ? "at most " : "", peer.goal,
                        word(peer.reached(m.best_ratio(peer))));
  return line;
}

std::string text_line(const BenchRow& row, const Measured& m) {
  const Spread s = spread_in(row.figures[0], m.seconds);
  std::string line = fmt::format("{:<24} {:<40} {:>9.4g} ({:.4g} .. {:.4g}) {}", row.name, row.what, s.median, s.low,
                                 s.high, row.figures[0].unit);
  for (std::size_t i = 1; i < row.figures.size(); ++i)
    line += fmt::format(", {:.3g} {}", spread_in(row.figures[i], m.seconds).median, row.figures[i].unit);
  if (!m.part.empty())
    line +=
        fmt::format("  {:.0f}% of {}", 100 * spread_of(m.part).median, row.ceiling == Ceiling::fma ? "fma" : "copy");
  if (row.goal > 0) line += fmt::format("; goal {}: {}", row.goal, word(s.high >= row.goal));
  return m.peer.empty() ? line : line + peer_line(row, m);
}

/// The row of that name, or those whose names begin with it.
std::vector<BenchRow> rows_named(const std::string& name) {
  std::vector<BenchRow> rows = ceiling_rows();
  for (auto& more : {kernel_rows(), format_rows(), fp8_gemm_rows(), step_rows()})
    rows.insert(rows.end(), more.begin(), more.end());
  std::string known;
  bool whole_name = false;
  for (const BenchRow& row : rows) {
    known += (known.empty() ? "" : ", ") + row.name;
    whole_name = whole_name || row.name == name;
  }
  std::erase_if(rows, [&](const BenchRow& row) {
    return whole_name ? row.name != name : row.name.compare(0, name.size(), name) != 0;
  });
  require(!rows.empty(), "bench", "no row begins with '", name, "'; there are ", known);
  return rows;
}

constexpr const char* no_peers =
    "not there (python3 -m venv build/peers && build/peers/bin/pip install numpy ml_dtypes, then --peers "
    "build/peers/bin/python; the launcher finds it there)";

/// Programs that want to run, this one's measurements not yet counted: what several threads then share cores with.
double load_before() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

void print_heading(const BenchArguments& a, const std::string& peers) {
  fmt::print("{} thread{}, {}; median (10% .. 90%) of {} rounds; load before {:.1f}\n", a.threads,
             a.threads == 1 ? "" : "s", a.threads == 1 ? "seconds of its own work" : "seconds of the wall clock",
             a.rounds, load_before());
  if (!peers.empty()) fmt::print("peers: {}\n", peers);
  fmt::print("\n");
}

}  // namespace

int bench(const BenchArguments& a) {
  require(a.threads >= 1, "bench", "--threads is ", a.threads, "; it must be at least 1");
  require(a.rounds >= 1, "bench", "--rounds is ", a.rounds, "; it must be at least 1");
  omp_set_num_threads(static_cast<int>(a.threads));
  const std::vector<BenchRow> rows = rows_named(a.name);
  const bool one_thread = a.threads == 1;
  const bool asks = std::any_of(rows.begin(), rows.end(), asks_a_server);
  std::optional<PeerServer> peers;
  if (asks && !a.peers.empty()) peers.emplace(a.peers, a.threads);
  if (!a.json) print_heading(a, peers ? peers->what() : asks ? no_peers : "");
  for (const BenchRow& row : rows) {
    PeerServer* const server = peers ? &*peers : nullptr;
    const Measured m = measure(row, a.rounds, server, one_thread);
    fmt::print("{}\n", a.json ? json_line(row, m, a.threads, server) : text_line(row, m));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace dsv3::cli
