// SPDX-License-Identifier: MIT
// Every op's wrong implementations must be caught; what the usual measures make of them stands beside it, in
// docs/kill_table.md.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "reference/oracle/verdict.hpp"
#include "tests/oracle/field_bugs.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

namespace {

enum Judge { verdict_of_oracle, calc_diff, allclose, pcc, judges };

bool has_intermediates(const Op& op) { return std::ranges::any_of(op.outputs, &TensorSpec::optional); }

/// Those that every implementation hands over.
Tensors last_outputs(const Op& op, Tensors outputs) {
  for (const TensorSpec& spec : op.outputs)
    if (spec.optional) outputs.erase(spec.name);
  return outputs;
}

/// What the usual measures say of one tensor: DeepGEMM's, NumPy's with the tolerances of GPU MODE, and correlation.
struct Measures {
  double xx = 0, yy = 0, xy = 0, x = 0, y = 0, n = 0;
  bool close = true;

  Measures(const Doubles& ours, const Doubles& theirs) {
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const double a = ours[i], b = theirs[i];
      if (std::isnan(a) && std::isnan(b)) continue;
      xx += a * a, yy += b * b, xy += a * b, x += a, y += b, ++n;
      close = close && (a == b || std::abs(a - b) <= 1e-3 + 2e-2 * std::abs(a));
    }
  }
  bool fails(Judge judge) const {
    if (judge == allclose) return !close;
    if (judge == calc_diff) return !(xx + yy == 0 || 1 - 2 * xy / (xx + yy) < 1e-3);
    const double vx = n * xx - x * x, vy = n * yy - y * y;
    return !((vx == 0 && vy == 0) || (n * xy - x * y) / std::sqrt(vx * vy) >= 0.99);
  }
};

bool fails(Judge judge, const Op& op, const Case& c, const Tensors& ours, const Tensors& theirs) {
  if (judge == verdict_of_oracle) return oracle::judge(op, c, ours, theirs).agreement == Agreement::outside;
  return std::ranges::any_of(theirs, [&](const auto& t) {
    const auto found = ours.find(t.first);
    return found != ours.end() && Measures(values(found->second), values(t.second)).fails(judge);
  });
}

/// One line of the table: on how many kinds of cases the mutant differs from ours, and on how many each judge sees it.
struct Line {
  std::string name;
  int made = 0, seen[judges] = {};
  int made_last = 0, seen_last = 0;  ///< where the verdict has the last outputs alone
};

struct Drawn {
  Case c;
  Tensors ours;
  Tensors sound;  ///< what somebody gives, with all intermediate values, before it is damaged
};

std::vector<Drawn> cases_of(const Op& op) {
  std::vector<Drawn> all;
  for (const CaseKind& kind : op.kinds) {
    const Case c = drawn(op, kind.name, 1, {}, {});
    const Tensors ours = run(op, c);
    all.push_back({c, ours, op.imitate ? op.imitate(c, {.exact = false}) : ours});
  }
  return all;
}

Line tried(const Op& op, const std::vector<Drawn>& cases, const Mutant& mutant) {
  Line line{.name = mutant.name};
  for (const auto& [c, ours, sound] : cases) {
    const std::optional<Tensors> theirs = mutant.run(c, sound);
    if (!theirs || same_bits(*theirs, ours)) continue;
    ++line.made;
    for (int j = 0; j < judges; ++j) line.seen[j] += fails(static_cast<Judge>(j), op, c, ours, *theirs);
    const Tensors last = last_outputs(op, *theirs);
    if (!has_intermediates(op) || same_bits(last, last_outputs(op, sound))) continue;
    ++line.made_last;
    line.seen_last += fails(verdict_of_oracle, op, c, ours, last);
  }
  return line;
}

std::vector<Line> lines_of(const Op& op) {
  const std::vector<Drawn> cases = cases_of(op);
  std::vector<Line> lines;
  for (const auto& mutants : {other_conventions(op), too_few_bits(op), field_bugs(op)})
    for (const Mutant& mutant : mutants) lines.push_back(tried(op, cases, mutant));
  std::vector<std::string> outputs;
  for (const TensorSpec& output : op.outputs)
    if (!output.optional) outputs.push_back(output.name);
  const bool many = outputs.size() > 4;  // then each damage is done to one of them
  for (std::size_t i = 0; i < damages().size(); ++i)
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      if (many && k != 5 * i % outputs.size()) continue;
      Line line = tried(op, cases, damaged(damages()[i], outputs[k]));
      line.name = fmt::format("{}: {}", outputs[k], line.name);
      lines.push_back(line);
    }
  std::erase_if(lines, [](const Line& line) { return line.made == 0; });
  return lines;
}

std::string counted(int seen, int made) {
  return made == 0 ? "the same" : seen == 0 ? "missed" : fmt::format("{} of {}", seen, made);
}

std::string section(const Op& op, const std::vector<Line>& lines) {
  const bool with_last = has_intermediates(op);
  std::string out = fmt::format(
      "\n## {0} {{#kill_{0}}}\n\n| Wrong | verdict |{1} calc_diff | allclose | PCC |\n|---|---|{2}---|---|---|\n",
      op.name, with_last ? " last outputs alone |" : "", with_last ? "---|" : "");
  for (const Line& line : lines) {
    out += fmt::format("| {} | {}", line.name, counted(line.seen[verdict_of_oracle], line.made));
    if (with_last) out += " | " + counted(line.seen_last, line.made_last);
    for (int j = verdict_of_oracle + 1; j < judges; ++j) out += " | " + counted(line.seen[j], line.made);
    out += " |\n";
  }
  return out;
}

std::string summary(const std::vector<std::vector<Line>>& all) {
  int mutants = 0, killed[judges] = {}, mutants_last = 0, killed_last = 0;
  for (const auto& lines : all)
    for (const Line& line : lines) {
      ++mutants;
      for (int j = 0; j < judges; ++j) killed[j] += line.seen[j] > 0;
      mutants_last += line.made_last > 0, killed_last += line.seen_last > 0;
    }
  return fmt::format(
      "\nOf {} wrong implementations of {} ops the verdict sees {}, `calc_diff < 1e-3` {}, `allclose(rtol=2e-2, "
      "atol=1e-3)` {}, PCC >= 0.99 {}, each on at least one kind of case. Of the {} among them that change the last "
      "outputs of an op with "
      "intermediate values, the verdict sees {} where it has the last outputs alone.\n",
      mutants, all.size(), killed[0], killed[1], killed[2], killed[3], mutants_last, killed_last);
}

void compare_page(const std::string& generated) {
  const std::string path = DSV3_SOURCE_DIR "/docs/kill_table.md", begin = "<!-- generated -->\n";
  std::stringstream page;
  page << std::ifstream(path).rdbuf();
  const std::string text = page.str();
  const auto at = text.find(begin);
  REQUIRE(at != std::string::npos);
  const std::string expected = text.substr(0, at + begin.size()) + generated;
  if (std::getenv("DSV3_WRITE_DOCS") != nullptr) std::ofstream(path) << expected;
  else CHECK(text == expected);
}

}  // namespace

/// DSV3_WRITE_DOCS=1 in the environment writes the page's tables anew.
TEST_CASE("kill table: of every op ten wrong implementations at least, all caught, as docs/kill_table.md says") {
  std::vector<std::vector<Line>> all;
  std::string sections;
  for (const Op& op : registry()) {
    CAPTURE(op.name);
    all.push_back(lines_of(op));
    CHECK(all.back().size() >= 10);
    for (const Line& line : all.back()) {
      CAPTURE(line.name);
      CHECK(line.seen[verdict_of_oracle] > 0);
    }
    sections += section(op, all.back());
  }
  compare_page(summary(all) + sections);
}

TEST_CASE("kill table: what is sound is accepted: ours, BF16 outputs, FP32 at every step in either order") {
  for (const Op& op : registry())
    for (const auto& [c, ours, sound] : cases_of(op)) {
      CAPTURE(op.name);
      CHECK(judge(op, c, ours, ours).agreement == Agreement::bits);
      if (!op.imitate) continue;
      for (const bool descending : {false, true}) {
        Tensors theirs = op.imitate(c, {.exact = false, .descending = descending});
        CHECK(judge(op, c, ours, theirs).agreement != Agreement::outside);
        CHECK(judge(op, c, ours, last_outputs(op, theirs)).agreement != Agreement::outside);
        const Limits limits = op.limits(c, ours, theirs);
        for (auto& [name, t] : theirs)
          if (t.dtype == Dtype::f32 && !(limits.contains(name) && limits.at(name).bound.empty()))
            t = rounded(Dtype::bf16, float_matrix(t), t.shape);
        const Verdict verdict = judge(op, c, ours, theirs);
        INFO(text(verdict));
        CHECK(verdict.agreement != Agreement::outside);
      }
    }
}
