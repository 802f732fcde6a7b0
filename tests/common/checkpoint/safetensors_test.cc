// What a checkpoint on disk may be, and above all what it may not: every broken file is refused by
// name.
#include "common/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

Json Entry(const std::string& dtype, std::vector<uint64_t> shape, uint64_t begin, uint64_t end) {
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, end}}};
}

// The error of a header that stands before 16 bytes of data.
absl::Status ErrorOfText(const std::string& header) {
  const std::string file = RawSafetensors(header, std::string(16, 'x'));
  const absl::Status status = ParseSafetensorsHeader(file).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << header;
  return status;
}

absl::Status ErrorOf(const Json& header) { return ErrorOfText(header.dump()); }

std::string OneTensor(const std::string& name) {
  return Safetensors({{name, "F32", {2}, std::string(8, '\0')}});
}

TEST(SafetensorsHeaderTest, ReadsTensorsInTheOrderOfTheirData) {
  const std::string file = Safetensors({{"z", "F32", {2, 2}, std::string(16, 'a')},
                                        {"a", "BF16", {3}, std::string(6, 'b')},
                                        {"scalar", "I64", {}, std::string(8, 'c')},
                                        {"empty", "F16", {0, 5}, ""}});
  auto header = ParseSafetensorsHeader(file);
  ASSERT_TRUE(header.ok()) << header.status();
  ASSERT_EQ(header->entries.size(), 4);
  EXPECT_EQ(header->entries[0].name, "z");
  EXPECT_THAT(header->entries[0].shape, ElementsAre(2, 2));
  EXPECT_STREQ(header->entries[0].type->name, "F32");
  EXPECT_EQ(header->entries[1].name, "a");
  EXPECT_EQ(header->entries[1].begin, 16);
  EXPECT_EQ(header->entries[1].end, 22);
  EXPECT_EQ(file.substr(header->data_offset, 16), std::string(16, 'a'));
}

TEST(SafetensorsHeaderTest, SpacesBehindTheHeaderAreFine) {
  EXPECT_TRUE(ParseSafetensorsHeader(RawSafetensors("{}     ", "")).ok());
}

TEST(SafetensorsHeaderTest, TruncatedAnywhere) {
  const std::string file = Safetensors({{"a", "F32", {4}, std::string(16, 'a')}});
  for (size_t size = 0; size < file.size(); ++size) {
    const absl::Status status = ParseSafetensorsHeader(file.substr(0, size)).status();
    EXPECT_THAT(status.message(), HasSubstr("truncated")) << size;
  }
}

TEST(SafetensorsHeaderTest, OversizedHeader) {
  std::string file = RawSafetensors("{}", "");
  const uint64_t size = kMaxSafetensorsHeaderBytes + 1;
  std::memcpy(file.data(), &size, sizeof(size));
  EXPECT_THAT(ParseSafetensorsHeader(file).status().message(),
              HasSubstr("header of 100000001 bytes; at most 100000000"));
  std::memset(file.data(), 0xff, sizeof(size));
  EXPECT_THAT(ParseSafetensorsHeader(file).status().message(), HasSubstr("at most 100000000"));
}

TEST(SafetensorsHeaderTest, OverlapsAndGaps) {
  EXPECT_THAT(ErrorOf({{"a", Entry("F32", {2}, 0, 8)}, {"b", Entry("F32", {3}, 4, 16)}}).message(),
              HasSubstr("'b' starts at byte 4 of the data; the tensor before it ends at 8"));
  EXPECT_THAT(ErrorOf({{"a", Entry("F32", {2}, 0, 8)}, {"b", Entry("F32", {1}, 12, 16)}}).message(),
              HasSubstr("'b' starts at byte 12 of the data; a gap follows byte 8"));
  EXPECT_THAT(ErrorOf({{"a", Entry("F32", {3}, 4, 16)}}).message(), HasSubstr("a gap"));
  EXPECT_THAT(ErrorOf({{"a", Entry("F32", {3}, 0, 12)}}).message(),
              HasSubstr("4 bytes behind its last tensor"));
  EXPECT_THAT(ErrorOf({{"a", Entry("F32", {5}, 0, 20)}}).message(),
              HasSubstr("tensors need 20 bytes, 16 are there"));
}

TEST(SafetensorsHeaderTest, ShapeAndBytesMustAgree) {
  const uint64_t huge = uint64_t{1} << 62;
  for (const Json& entry :
       {Entry("F32", {5}, 0, 16), Entry("BF16", {2, 2}, 0, 16), Entry("F32", {huge, 4}, 0, 16),
        Entry("F32", {huge, huge, 16}, 0, 0), Entry("F32", {4}, 16, 0), Entry("F4", {1}, 0, 0),
        Entry("F32", {huge, huge, 0}, 0, 16)}) {
    EXPECT_THAT(ErrorOf({{"a", entry}}).message(), HasSubstr("does not fill its bytes")) << entry;
  }
  EXPECT_THAT(ErrorOf({{"a", Entry("F32", {uint64_t{1} << 63}, 0, 16)}}).message(),
              HasSubstr("has dimension 9223372036854775808"));
}

TEST(SafetensorsHeaderTest, NamesThatComeTwice) {
  EXPECT_THAT(ErrorOfText(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                          "a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})")
                  .message(),
              HasSubstr("'a' appears twice"));
  EXPECT_THAT(
      ErrorOfText(R"({"a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}})")
          .message(),
      HasSubstr("'dtype' twice"));
}

TEST(SafetensorsHeaderTest, EverythingElseThatIsNoHeader) {
  for (const char* header :
       {"",
        " {}",
        "[]",
        "{",
        "{]",
        "null",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":[]}",
        "{\"a\":{}}",
        "{\"a\":{\"dtype\":\"F99\"}}",
        "{\"a\":{\"dtype\":5}}",
        "{\"\":{}}",
        "{} {}",
        "{\"\xff\":{}}",
        R"({"a":{"dtype":"F32","shape":[4]}})",
        R"({"a":{"dtype":"F32","shape":[[4]]}})",
        R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})",
        R"({"a":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}})",
        R"({"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,16]}})",
        R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16,16]}})",
        R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[99999999999999999999,16]}})",
        R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"more":"x"}})",
        R"({"__metadata__":{"format":1}})",
        R"({"__metadata__":{"a":{"b":"c"}}})"}) {
    EXPECT_FALSE(ErrorOfText(header).ok());
  }
  EXPECT_THAT(ErrorOfText(std::string("{\"a\":") + std::string(100000, '[')).message(),
              HasSubstr("an array where none belongs"));
  EXPECT_THAT(ErrorOf({{"a", Entry("F99", {4}, 0, 16)}}).message(),
              HasSubstr("'a' has unknown dtype 'F99'"));
}

// Whatever bytes come, the answer is a status or ranges inside the file.
TEST(SafetensorsHeaderTest, RandomDamage) {
  const std::string good = Safetensors(
      {{"model.a", "F32", {2, 3}, std::string(24, 'a')}, {"b", "BF16", {4}, std::string(8, 'b')}});
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string file = good;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) file[random() % file.size()] = static_cast<char>(random());
    if (random() % 4 == 0) file.resize(random() % file.size());
    auto header = ParseSafetensorsHeader(file);
    if (!header.ok()) continue;
    for (const TensorEntry& entry : header->entries) {
      EXPECT_LE(entry.begin, entry.end);
      EXPECT_LE(header->data_offset + entry.end, file.size());
    }
  }
}

TEST(SafetensorsHeaderTest, AHundredThousandTensors) {
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < 100'000; ++i) {
    tensors.push_back({absl::StrCat("model.layers.", i, ".weight"), "BF16", {2}, "abcd"});
  }
  auto header = ParseSafetensorsHeader(Safetensors(tensors));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->entries.size(), 100'000);
}

TEST(CheckpointTest, OneFile) {
  const TempDir dir;
  dir.Write("model.safetensors", Safetensors({{"a", "F32", {2}, "12345678"}}));
  auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const StoredTensor* a = checkpoint->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(a->data), a->num_bytes), "12345678");
  EXPECT_EQ(*a->path, dir.File("model.safetensors"));
  EXPECT_EQ(checkpoint->Find("b"), nullptr);
}

void WriteIndex(const TempDir& dir, const Json& weight_map) {
  dir.Write("model.safetensors.index.json", Json{{"weight_map", weight_map}}.dump());
}

TEST(CheckpointTest, Shards) {
  const TempDir dir;
  dir.Write("model-1.safetensors", OneTensor("a"));
  dir.Write("model-2.safetensors", OneTensor("b"));
  WriteIndex(dir, {{"a", "model-1.safetensors"}, {"b", "model-2.safetensors"}});
  auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->num_tensors(), 2);
  EXPECT_EQ(*checkpoint->Find("b")->path, dir.File("model-2.safetensors"));
}

TEST(CheckpointTest, ShardsBehindSymbolicLinksAsInTheHuggingFaceCache) {
  const TempDir dir;
  std::filesystem::create_directories(dir.File("blobs"));
  std::filesystem::create_directories(dir.File("snapshots/1"));
  dir.Write("blobs/hash", OneTensor("a"));
  std::filesystem::create_symlink("../../blobs/hash", dir.File("snapshots/1/model.safetensors"));
  auto checkpoint = Checkpoint::Open(dir.File("snapshots/1"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_NE(checkpoint->Find("a"), nullptr);
}

TEST(CheckpointTest, MissingShardsAreNamed) {
  const TempDir dir;
  dir.Write("model-1.safetensors", OneTensor("a"));
  Json weight_map = {{"a", "model-1.safetensors"}};
  for (int i = 2; i < 10; ++i) {
    weight_map[absl::StrCat("t", i)] = absl::StrCat("model-", i, ".safetensors");
  }
  WriteIndex(dir, weight_map);
  const absl::Status status = Checkpoint::Open(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("lacks 8 of 9 shards: model-2.safetensors, "));
  EXPECT_THAT(status.message(), HasSubstr("and 3 more"));
}

TEST(CheckpointTest, TensorsThatTheirShardLacksAreNamed) {
  const TempDir dir;
  dir.Write("1.safetensors", OneTensor("a"));
  dir.Write("2.safetensors", OneTensor("b"));
  WriteIndex(dir, {{"a", "1.safetensors"}, {"b", "2.safetensors"}, {"c", "2.safetensors"}});
  EXPECT_THAT(Checkpoint::Open(dir.path()).status().message(),
              HasSubstr("2.safetensors lacks tensors that the index places in it: c"));
  WriteIndex(dir, {{"a", "2.safetensors"}, {"b", "1.safetensors"}});
  EXPECT_THAT(Checkpoint::Open(dir.path()).status().message(),
              HasSubstr("1.safetensors lacks tensors that the index places in it: b"));
  dir.Write("2.safetensors", OneTensor("a"));
  WriteIndex(dir, {{"a", "1.safetensors"}, {"b", "2.safetensors"}});
  EXPECT_THAT(Checkpoint::Open(dir.path()).status().message(), HasSubstr("holds too"));
}

TEST(CheckpointTest, UnsafePathsAreRefused) {
  const TempDir dir;
  for (const Json& file : {Json("/etc/passwd"), Json("../model.safetensors"), Json("a/../../b"),
                           Json(""), Json(".."), Json(7), Json(std::string("a\0b", 3))}) {
    WriteIndex(dir, {{"a", file}});
    const absl::Status status = Checkpoint::Open(dir.path()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << file;
    EXPECT_THAT(status.message(), HasSubstr("not a file below the model's directory"));
  }
}

TEST(CheckpointTest, BrokenIndex) {
  const TempDir dir;
  for (const char* text : {"", "{", "[]", "{}", "{\"weight_map\":[]}"}) {
    dir.Write("model.safetensors.index.json", text);
    const absl::Status status = Checkpoint::Open(dir.path()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("model.safetensors.index.json"));
  }
}

TEST(CheckpointTest, FilesThatAreNone) {
  const TempDir dir;
  EXPECT_EQ(Checkpoint::Open(dir.path()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Checkpoint::Open("/nowhere").status().code(), absl::StatusCode::kNotFound);
  std::filesystem::create_directory(dir.File("model.safetensors"));
  EXPECT_THAT(Checkpoint::Open(dir.path()).status().message(), HasSubstr("not a regular file"));
  std::filesystem::remove(dir.File("model.safetensors"));
  ASSERT_EQ(mkfifo(dir.File("model.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(Checkpoint::Open(dir.path()).status().message(), HasSubstr("not a regular file"));
  std::filesystem::remove(dir.File("model.safetensors"));
  dir.Write("model.safetensors", "");
  EXPECT_THAT(Checkpoint::Open(dir.path()).status().message(),
              HasSubstr("model.safetensors is truncated"));
}

}  // namespace
}  // namespace regatta
