// SPDX-License-Identifier: MIT
#include "reference/checkpoint/shards.hpp"

#include "tests/checkpoint/scratch.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
/// A file with one-element F32 tensors of these names, holding 1, 2, ...
std::string file_of(std::initializer_list<const char*> names) {
  std::string header = "{", data;
  for (const char* name : names) {
    const std::size_t at = data.size();
    header +=
        concat(at ? "," : "", '"', name, R"(":{"dtype":"F32","shape":[1],"data_offsets":[)", at, ',', at + 4, "]}");
    data += raw<float>({static_cast<float>(at / 4 + 1)});
  }
  return safetensors_bytes(header + "}", data);
}

/// The message of opening two shards, s1 and s2, with this weight_map.
std::string open_with(const std::string& weight_map, std::initializer_list<const char*> in_s1,
                      std::initializer_list<const char*> in_s2) {
  const Scratch scratch;
  put(scratch / "s1", file_of(in_s1));
  put(scratch / "s2", file_of(in_s2));
  put(scratch / "model.safetensors.index.json", R"({"metadata":{"total_size":8},"weight_map":)" + weight_map + "}");
  std::string said = thrown([&] { open_checkpoint(scratch.folder()); });
  const std::string folder = scratch.folder().string() + "/";
  for (auto at = said.find(folder); at != std::string::npos; at = said.find(folder)) said.erase(at, folder.size());
  return said;
}
}  // namespace

TEST_CASE("shards: one file, or several by the index, give the same tensors by name") {
  const Scratch one, many;
  put(one / "model.safetensors", file_of({"a", "b", "c"}));
  put(many / "s1", file_of({"a", "b"}));
  put(many / "s2", file_of({"c"}));
  put(many / "model.safetensors.index.json",
      R"({"metadata":{"total_size":1},"weight_map":{"c":"s2","a":"s1","b":"s1"}})");  // an old sum: not read
  const Checkpoint single = open_checkpoint(one.folder()), sharded = open_checkpoint(many.folder());
  CHECK(single.files.size() == 1);
  CHECK(sharded.files.size() == 2);
  CHECK(to_matrix(tensor(single, "c"))(0, 0) == 3);
  CHECK(to_matrix(tensor(sharded, "c"))(0, 0) == 1);
  CHECK(to_matrix(tensor(sharded, "b"))(0, 0) == 2);
  CHECK(thrown([&] { tensor(sharded, "d"); }) == many.folder().string() + ": no tensor \"d\"");
}

TEST_CASE("shards: what an index and its shards can disagree about, each by name") {
  CHECK(open_with(R"({"a":"s1","b":"s2"})", {"a"}, {"b"}) == "nothing thrown");
  CHECK(open_with(R"({"a":"s1","b":"s3"})", {"a"}, {"b"}) ==
        "model.safetensors.index.json: the shard \"s3\" is missing");
  CHECK(open_with(R"({"a":"s1","b":"s2","z":"s2"})", {"a"}, {"b"}) ==
        "s2: does not hold \"z\", which the index puts there");
  CHECK(open_with(R"({"a":"s2","b":"s1"})", {"a"}, {"b"}) == "s1: does not hold \"b\", which the index puts there");
  CHECK(open_with(R"({"a":"s1","b":"s2"})", {"a", "b"}, {"b"}) ==
        "s2: tensor \"b\": is also in another file (s1: tensor \"b\")");
  CHECK(open_with(R"({"a":"s1","b":"s2"})", {"a", "extra"}, {"b"}) ==
        "s1: tensor \"extra\": is not in the index model.safetensors.index.json");
}

TEST_CASE("shards: a hostile index cannot reach outside the folder nor name a tensor twice") {
  for (const char* bad : {"../s1", "/etc/passwd", "d/s1", "", ".", "..", "s1\\u0000"})
    CHECK(
        contains(open_with(concat(R"({"a":")", bad, R"("})"), {"a"}, {"b"}), "; a file of the same folder is needed"));
  CHECK(contains(open_with(R"({"a":"s1","a":"s2"})", {"a"}, {"b"}), "the key \"a\" appears twice"));
  CHECK(contains(open_with(R"({"a":1})", {"a"}, {"b"}), "the file of \"a\" is not a string"));
  CHECK(contains(open_with("[]", {"a"}, {"b"}), "an object \"weight_map\""));
  CHECK(contains(open_with("{", {"a"}, {"b"}), "not JSON"));
}

TEST_CASE("shards: neither or both of the two kinds of checkpoint") {
  const Scratch scratch;
  CHECK(contains(thrown([&] { open_checkpoint(scratch.folder()); }), "holds neither model.safetensors nor"));
  put(scratch / "model.safetensors", file_of({"a"}));
  put(scratch / "model.safetensors.index.json", R"({"weight_map":{}})");
  CHECK(contains(thrown([&] { open_checkpoint(scratch.folder()); }), "holds both"));
}
