// SPDX-License-Identifier: MIT
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A shell script in the place of Python: bench/peer_server.py is its first argument, --threads N follow.
std::string python(const Scratch& scratch, const std::string& script) {
  const std::filesystem::path path = scratch / "python";
  put(path, "#!/bin/sh\n" + script + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

Ended bench_with(const Scratch& scratch, const std::string& script, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"bench", "encode_e4m3_16k", "--rounds",
                                        "3",     "--peers",         python(scratch, script)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

/// A server that writes down what it is asked and always answers the same.
std::string answering(const Scratch& scratch, const std::string& answer) {
  return "echo 'ready a peer'; while read request; do echo \"$request\" >>" + (scratch / "asked").string() + "; echo " +
         answer + "; done";
}

}  // namespace

TEST_CASE("dsv3 bench: a row and its peer take turns; the ratio is the peer's time over ours, its goal is judged") {
  const Scratch scratch;
  const Ended e = bench_with(scratch, answering(scratch, "0.5"), {"--json"});
  REQUIRE(e.err == "");
  CHECK(e.status == 0);
  CHECK(get(scratch / "asked") == "encode_e4m3 16384\nencode_e4m3 16384\nencode_e4m3 16384\n");
  const auto row = nlohmann::json::parse(e.out), peer = row.at("peer");
  CHECK(peer["Gelem/s"]["median"].get<double>() == doctest::Approx(16384e-9 / 0.5));
  const double ratio = peer["ratio"]["median"];  // of the same rounds
  CHECK(ratio == doctest::Approx(row["Gelem/s"]["median"].get<double>() / (16384e-9 / 0.5)));
  CHECK(peer["best_ratio"] >= ratio);
  CHECK(peer["goal"] == 8);
  CHECK(peer["reached"] == true);
  CHECK(peer["versions"] == "a peer");

  const Ended slow = bench_with(scratch, answering(scratch, "1e-12"));
  CHECK(contains(slow.out, "peers: a peer\n"));
  CHECK(contains(slow.out, "\n  beside ml_dtypes: 1.638e+07 Gelem/s; "));
  CHECK(contains(slow.out, "; goal 8: missed\n"));
}

TEST_CASE("dsv3 bench: without peers the rows are ours alone, and a line says how to get them; some need none") {
  const Ended e = run({"bench", "encode_e4m3_16k", "--rounds", "1"});
  CHECK(e.status == 0);
  CHECK(contains(e.out, "peers: not there (python3 -m venv build/peers && "));
  CHECK(!contains(e.out, "beside"));
  CHECK(!contains(run({"bench", "encode_e5m6", "--rounds", "1"}).out, "peers"));
  const Ended step = run({"bench", "step_32_fp8", "--rounds", "1", "--json"});
  const auto peer = nlohmann::json::parse(step.out).at("peer");
  const auto ours = nlohmann::json::parse(step.out).at("tokens/s");
  CHECK(peer["name"] == "the step in BF16");
  CHECK(peer["goal_at_most"] == 1.6);
  const double theirs = peer["tokens/s"]["median"];  // the ratio of a slowdown is our time over the peer's
  CHECK(peer["best_ratio"].get<double>() == doctest::Approx(theirs / ours["median"].get<double>()));
  CHECK(peer["reached"] == (peer["best_ratio"] <= 1.6));
}

TEST_CASE("dsv3 bench: peers that are not there, end, or say what is no answer, are named with what happened") {
  const Scratch scratch;
  const std::string who = "dsv3 bench: the peers' " + (scratch / "python").string() + " ";
  const auto said = [&](const std::string& script) {
    const Ended e = bench_with(scratch, script, {"--json"});
    return e.status == 2 && e.out.empty() ? e.err : concat("status ", e.status, ": ", e.err, e.out);
  };
  CHECK(said("exit 3") == who + "ended with status 3 when it was asked for its name\n");
  CHECK(said("echo hello") == who + "said 'hello' where 'ready ...' is needed\n");
  CHECK(said("echo 'ready x'; read request; kill -9 $$") ==
        who + "was ended by signal 9 when it was asked 'encode_e4m3 16384'\n");
  CHECK(said("echo 'ready x'; read request; exit 0") ==
        who + "ended with status 0 when it was asked 'encode_e4m3 16384'\n");
  CHECK(said("echo 'ready x'; exit 4") == who + "ended with status 4 when it was asked 'encode_e4m3 16384'\n");
  CHECK(said(answering(scratch, "error: no such format")) == who + "no such format\n");
  for (const char* const answer : {"soon", "0", "-1", "nan", "inf", "1e-3s", ""})
    CHECK(said(answering(scratch, answer)) ==
          who + "answers '" + answer + "' to 'encode_e4m3 16384'; seconds above 0 are needed\n");
  CHECK(not_refused(run({"bench", "encode_e4m3_16k", "--peers", "/no/such/python"}),
                    "dsv3 bench: the peers' /no/such/python cannot be started: No such file or directory\n") == "");
}

TEST_CASE("dsv3 bench: the server in Python says what it needs, and what of a request it does not understand") {
  const Scratch scratch;
  const std::string server = std::string(DSV3_SOURCE_DIR) + "/bench/peer_server.py";
  if (std::system("python3 -c '' 2>/dev/null") != 0) return;                  // no part needs Python
  const Ended without = bench_with(scratch, "exec python3 -S -I -B \"$@\"");  // no packages
  CHECK(not_refused(without, " needs NumPy and ml_dtypes: No module named 'ml_dtypes'\n") == "");

  put(scratch / "numpy.py", "__version__ = '9'\n");
  put(scratch / "ml_dtypes.py", "__version__ = '8'\n");
  const std::string command =
      "printf 'frob 1\\nsgemm_fprop 1 2 3\\nsgemm_fprop 1\\nencode_e4m3 many\\n' | PYTHONPATH=" +
      scratch.folder().string() + " python3 -S -B " + server + " >" + (scratch / "said").string();
  CHECK(std::system(command.c_str()) == 0);
  CHECK(get(scratch / "said") ==
        "ready NumPy 9, ml_dtypes 8, no OpenBLAS\n"
        "error: 'frob 1' is no request\n"
        "error: NumPy's BLAS is not OpenBLAS; the pip package's is\n"
        "error: 'sgemm_fprop 1' has not the numbers it needs\n"
        "error: invalid literal for int() with base 10: 'many'\n");
}
