// SPDX-License-Identifier: MIT
#include "cuda/bench/results.hpp"

#include <fmt/format.h>

#include <istream>
#include <nlohmann/json.hpp>

#include "reference/core/require.hpp"

namespace dsv3::cuda::bench {
namespace {

using Json = nlohmann::ordered_json;

Json as_json(const cli::Spread& s) { return {{"median", s.median}, {"p10", s.low}, {"p90", s.high}}; }

cli::Spread spread(const Json& json) {
  return {json.at("p10").get<double>(), json.at("median").get<double>(), json.at("p90").get<double>()};
}

/// In the row's unit.
double rate(const RowResult& row, double seconds) { return row.work / seconds * 1e-12; }

Json as_json(const RowResult& row, const Timed& timed) {
  Json json{{"name", timed.name}};
  if (!timed.why_not.empty()) {
    json["why_not"] = timed.why_not;
    return json;
  }
  json["seconds"] = as_json(timed.seconds);
  json[row.unit] = rate(row, timed.seconds.median);
  if (timed.ratio.median > 0) json["ratio"] = as_json(timed.ratio);
  return json;
}

Timed timed_of(const Json& json) {
  Timed timed{.name = json.at("name").get<std::string>(), .seconds = {}, .ratio = {}};
  if (json.contains("why_not")) timed.why_not = json.at("why_not").get<std::string>();
  else timed.seconds = spread(json.at("seconds"));
  if (json.contains("ratio")) timed.ratio = spread(json.at("ratio"));
  return timed;
}

RowResult row_of(const Json& json) {
  RowResult row{.name = json.at("row").get<std::string>(),
                .what = json.at("what").get<std::string>(),
                .unit = json.at("unit").get<std::string>(),
                .work = json.at("work").get<double>(),
                .goal = json.value("goal", 0.0),
                .goal_ratio = json.value("goal_ratio", 0.0),
                .only_peers = !json.contains("ours")};
  if (!row.only_peers) row.ours = timed_of(json.at("ours"));
  for (const Json& peer : json.at("peers")) row.peers.push_back(timed_of(peer));
  return row;
}

/// Of a goal: whether it is set, and reached.
struct Goal {
  bool set, reached;
};
Goal goal_of(const RowResult& row) {
  return {row.goal > 0, row.ours.why_not.empty() && row.goal > 0 && rate(row, row.ours.seconds.median) >= row.goal};
}
Goal goal_of_ratio(const RowResult& row) {
  const bool compared = !row.peers.empty() && row.ours.why_not.empty() && row.peers[0].why_not.empty();
  return {row.goal_ratio > 0, compared && row.goal_ratio > 0 && row.peers[0].ratio.median >= row.goal_ratio};
}

std::string words(Goal goal, double value, const char* of) {
  return goal.set ? fmt::format("; goal {}{}: {}", value, of, goal.reached ? "reached" : "missed") : "";
}

std::string peer_text(const RowResult& row, std::size_t i) {
  const Timed& peer = row.peers[i];
  if (!peer.why_not.empty()) return fmt::format("\n  {:<44} {}", peer.name, peer.why_not);
  std::string text = fmt::format("\n  {:<44} {:>9.1f} us {:>8.4g} {}", peer.name, 1e6 * peer.seconds.median,
                                 rate(row, peer.seconds.median), row.unit);
  if (peer.ratio.median > 0)
    text += fmt::format("  ours {:.2f} times as fast ({:.2f} .. {:.2f})", peer.ratio.median, peer.ratio.low,
                        peer.ratio.high);
  return i == 0 ? text + words(goal_of_ratio(row), row.goal_ratio, "") : text;
}

}  // namespace

void take_times(RowResult& row, const std::vector<std::vector<double>>& seconds) {
  std::size_t next = 0;
  const bool ours_is_right = row.ours.why_not.empty();
  if (ours_is_right) row.ours.seconds = cli::spread_of(seconds.at(next++));
  for (Timed& peer : row.peers) {
    if (!peer.why_not.empty()) continue;
    const std::vector<double>& theirs = seconds.at(next++);
    peer.seconds = cli::spread_of(theirs);
    if (!ours_is_right) continue;
    std::vector<double> ratio;
    for (std::size_t i = 0; i < theirs.size(); ++i) ratio.push_back(theirs[i] / seconds[0][i]);
    peer.ratio = cli::spread_of(std::move(ratio));
  }
}

std::string json_line(const RowResult& row) {
  Json json{{"row", row.name}, {"what", row.what}, {"unit", row.unit}, {"work", row.work}};
  if (row.goal > 0) json["goal"] = row.goal;
  if (row.goal_ratio > 0) json["goal_ratio"] = row.goal_ratio;
  if (!row.only_peers) json["ours"] = as_json(row, row.ours);
  json["peers"] = Json::array();
  for (const Timed& peer : row.peers) json["peers"].push_back(as_json(row, peer));
  return json.dump();
}

std::vector<RowResult> read_lines(std::istream& lines) {
  std::vector<RowResult> rows;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) try {
      const Json json = Json::parse(line);
      if (json.contains("row")) rows.push_back(row_of(json));
    } catch (const nlohmann::json::exception& error) {
      require_world(false, "results", "line ", number, ": ", error.what());
    }
  return rows;
}

std::string text_of(const RowResult& row) {
  std::string text = fmt::format("{:<28} {:<28}", row.name, row.what);
  if (row.only_peers) text += " (not in turns with ours)";
  else if (row.ours.why_not.empty())
    text += fmt::format(" {:>9.1f} us ({:.1f} .. {:.1f}) {:>8.4g} {}", 1e6 * row.ours.seconds.median,
                        1e6 * row.ours.seconds.low, 1e6 * row.ours.seconds.high, rate(row, row.ours.seconds.median),
                        row.unit) +
            words(goal_of(row), row.goal, (' ' + row.unit).c_str());
  else text += ' ' + row.ours.why_not;
  for (std::size_t i = 0; i < row.peers.size(); ++i) text += peer_text(row, i);
  return text;
}

std::string summary(const std::vector<RowResult>& rows) {
  int ours = 0, timed = 0, goals = 0, reached = 0;
  for (const RowResult& row : rows) {
    if (row.only_peers) continue;
    ++ours;
    timed += row.ours.why_not.empty() ? 1 : 0;
    for (const Goal goal : {goal_of(row), goal_of_ratio(row)})
      goals += goal.set ? 1 : 0, reached += goal.reached ? 1 : 0;
  }
  return fmt::format("{} of {} rows right and timed; {} of {} goals reached", timed, ours, reached, goals);
}

}  // namespace dsv3::cuda::bench
