// SPDX-License-Identifier: MIT
#include "reference/training/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {

using nlohmann::ordered_json;

std::string log_line(const StepReport& r, const StepExtras& extras) {
  std::vector<double> mtp_loss;
  for (std::size_t k = 0; k < r.loss.mtp_sum.size(); ++k) mtp_loss.push_back(r.loss.mtp_loss(k));
  ordered_json line = {{"step", r.step},
                       {"tokens", r.tokens},
                       {"loss", r.loss.main_loss()},
                       {"mtp_loss", mtp_loss},
                       {"balance_loss", r.loss.balance},
                       {"gradient_norm", r.gradient_norm},
                       {"learning_rate", r.settings.learning_rate},
                       {"bias_speed", r.settings.bias_speed},
                       {"mtp_lambda", r.settings.mtp_lambda},
                       {"sequences", r.settings.sequences},
                       {"max_vio", mean_max_vio(r.loss.load)},
                       {"load", r.loss.load},
                       {"seconds", extras.seconds}};
  if (extras.held_out_loss) line["held_out_loss"] = *extras.held_out_loss;
  if (extras.held_out_before) line["held_out_before"] = *extras.held_out_before;
  return line.dump();
}

namespace {

LogEntry entry_of(const nlohmann::json& line) {
  LogEntry e;
  line.at("step").get_to(e.step);
  line.at("tokens").get_to(e.tokens);
  line.at("loss").get_to(e.loss);
  line.at("max_vio").get_to(e.max_vio);
  line.at("mtp_loss").get_to(e.mtp_loss);
  line.at("load").get_to(e.load);
  if (line.contains("held_out_loss")) e.held_out_loss = line.at("held_out_loss").get<double>();
  if (line.contains("held_out_before")) e.held_out_before = line.at("held_out_before").get<double>();
  return e;
}

/// use(entry, line) for each line of the log. A last line without a line break is one that an interruption cut off:
/// it is left out.
template <class Use>
void for_each_line(const std::string& path, const Use& use) {
  std::ifstream in(path);
  require_world(in.good(), path, "cannot be read");
  std::string line;
  for (Index number = 1; std::getline(in, line) && !in.eof(); ++number) {
    try {
      use(entry_of(nlohmann::json::parse(line)), line);
    } catch (const nlohmann::json::exception&) {
      throw std::runtime_error(concat(path, ": line ", number, " is not a line of this log"));
    }
  }
}

bool same_sizes(const LogEntry& a, const LogEntry& b) {
  const auto as_many = [](const auto& x, const auto& y) { return x.size() == y.size(); };
  return as_many(a.mtp_loss, b.mtp_loss) &&
         std::equal(a.load.begin(), a.load.end(), b.load.begin(), b.load.end(), as_many);
}

}  // namespace

LogFile::LogFile(std::filesystem::path path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  const int error = errno;
  require_world(fd_ >= 0, path_.string(), "cannot be opened: ", std::generic_category().message(error));
}

LogFile::~LogFile() { ::close(fd_); }

void LogFile::add(const std::string& line) {
  const std::string whole = line + "\n";
  for (std::string_view left = whole; !left.empty();) {
    const ssize_t count = ::write(fd_, left.data(), left.size());
    const int error = errno;
    if (count < 0 && error == EINTR) continue;
    require_world(count >= 0, path_.string(), "cannot write: ", std::generic_category().message(error));
    left.remove_prefix(static_cast<std::size_t>(count));
  }
}

void LogFile::sync() {
  const int error = ::fsync(fd_) == 0 ? 0 : errno;
  require_world(error == 0, path_.string(), "cannot bring to the disk: ", std::generic_category().message(error));
}

std::vector<LogEntry> read_log(const std::string& path) {
  std::vector<LogEntry> entries;
  for_each_line(path, [&](LogEntry entry, const std::string&) {
    require_world(entries.empty() || same_sizes(entry, entries[0]), path, "line ", entries.size() + 1,
                  " has other layers, experts or MTP modules than line 1");
    entries.push_back(std::move(entry));
  });
  return entries;
}

void truncate_log(const std::string& path, Index last_step) {
  std::string kept;
  Index steps = 0;
  if (std::filesystem::exists(path))
    for_each_line(path, [&](const LogEntry& entry, const std::string& line) {
      if (entry.step > last_step) return;
      require_world(entry.step == ++steps, path, "line ", steps, " is of step ", entry.step, "; it must be of step ",
                    steps);
      kept += line + "\n";
    });
  require_world(steps == last_step, path, "ends with step ", steps, "; the newest checkpoint is of step ", last_step);
  write_file(path, kept);
}

}  // namespace dsv3
