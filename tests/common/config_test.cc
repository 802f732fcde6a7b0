// Strict YAML: what is read, what is ignored by name, and how everything else is refused.
#include "common/config.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "common/config_numbers.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ServerConfig Parse(const std::string& text, std::vector<std::string>* ignored = nullptr) {
  ServerConfig config;
  std::vector<std::string> names;
  const absl::Status status = ParseYaml(text, config, names);
  EXPECT_TRUE(status.ok()) << status;
  if (ignored != nullptr) *ignored = names;
  return config;
}

std::string ErrorOf(const std::string& text) {
  ServerConfig config;
  std::vector<std::string> ignored;
  const absl::Status status = ParseYaml(text, config, ignored);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

TEST(ConfigTest, ReadsEveryKindOfField) {
  const ServerConfig config = Parse(R"(
tensor_parallel_size: 2
max-num-tokens: 7680
dtype: bfloat16
enable_chunked_prefill: true
kv_cache_config:
  free_gpu_memory_fraction: 0.95
  enable_block_reuse: off
cuda_graph_config: {batch_sizes: [1, 2, 4], max_batch_size: null}
)");
  EXPECT_EQ(config.tensor_parallel_size(), 2);
  EXPECT_EQ(config.max_num_tokens(), 7680) << "dash and underscore are the same";
  EXPECT_EQ(config.dtype(), "bfloat16");
  EXPECT_TRUE(config.enable_chunked_prefill());
  EXPECT_EQ(config.kv_cache_config().free_gpu_memory_fraction(), 0.95);
  EXPECT_TRUE(config.kv_cache_config().has_enable_block_reuse());
  EXPECT_FALSE(config.kv_cache_config().enable_block_reuse());
  EXPECT_THAT(config.cuda_graph_config().batch_sizes(), ElementsAre(1, 2, 4));
  EXPECT_FALSE(config.cuda_graph_config().has_max_batch_size()) << "null leaves the default";
  EXPECT_FALSE(config.has_max_seq_len());
}

TEST(ConfigTest, TheArticlesFile) {
  std::vector<std::string> ignored;
  const ServerConfig config =
      Parse("cuda_graph_config:\n  max_batch_size: 3840\n  padding_enabled: true\n", &ignored);
  EXPECT_EQ(config.cuda_graph_config().max_batch_size(), 3840);
  EXPECT_TRUE(config.cuda_graph_config().enable_padding());
  EXPECT_THAT(ignored, IsEmpty());
}

TEST(ConfigTest, GraphsAreTurnedOffInTensorRtLlmsTwoWays) {
  for (const char* text : {"cuda_graph_config: null", "cuda_graph_config:\n",
                           "cuda-graph-config: ~", "use_cuda_graph: false"}) {
    const ServerConfig config = Parse(text);
    EXPECT_TRUE(config.has_use_cuda_graph() && !config.use_cuda_graph()) << text;
  }
  EXPECT_TRUE(Parse("use_cuda_graph: true").use_cuda_graph());
  EXPECT_FALSE(Parse("cuda_graph_config: {}").has_use_cuda_graph());
  EXPECT_THAT(ErrorOf("use_cuda_graph: true\ncuda_graph_config: null\n"),
              HasSubstr("line 2: 'use_cuda_graph': given twice"));
  EXPECT_THAT(ErrorOf("kv_cache_config:\n  cuda_graph_config: null\n"),
              HasSubstr("line 2: 'kv_cache_config.cuda_graph_config': unknown key"));
}

TEST(ConfigTest, EmptyFilesAreFine) {
  for (const char* text : {"", "# nothing\n", "---\n", "{}", "kv_cache_config:\n"}) {
    EXPECT_EQ(Parse(text).ByteSizeLong(), 0) << text;
  }
}

TEST(ConfigTest, WhatIsNoDocumentEndsInAnError) {
  for (const char* text : {",", ",: 1", "max_batch_size: 1\n---\nmax_batch_size: 2\n"}) {
    ServerConfig config;
    std::vector<std::string> ignored;
    const absl::Status status = ParseYaml(text, config, ignored);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ConfigTest, BytesThatAreNoUtf8AreNamed) {
  for (const char* text : {"\xff\xfe", "dtype: \xe4"}) {
    ServerConfig config;
    std::vector<std::string> ignored;
    EXPECT_EQ(ParseYaml(text, config, ignored).message(),
              "not valid YAML: its bytes are not UTF-8");
  }
}

TEST(ConfigTest, KnownKeysWithoutMeaningHereAreNamed) {
  std::vector<std::string> ignored;
  Parse(
      "stream_interval: 4\nmoe_config: {backend: CUTLASS}\nkv_cache_config:\n"
      "  host_cache_size: 0\nscheduler_config: {capacity_scheduler_policy: MAX_UTILIZATION}\n",
      &ignored);
  EXPECT_THAT(ignored,
              ElementsAre("stream_interval", "moe_config", "kv_cache_config.host_cache_size",
                          "scheduler_config.capacity_scheduler_policy"));
  EXPECT_THAT(ErrorOf("host_cache_size: 0"), HasSubstr("unknown key")) << "only where it belongs";
}

TEST(ConfigTest, UnknownKeysNameTheNearest) {
  EXPECT_EQ(ErrorOf("dtype: auto\nmax_batchsize: 4\n"),
            "line 2: 'max_batchsize': unknown key; did you mean 'max_batch_size'?");
  EXPECT_EQ(ErrorOf("kv_cache_config:\n  free_gpu_mem_fraction: 0.9\n"),
            "line 2: 'kv_cache_config.free_gpu_mem_fraction': unknown key; did you mean "
            "'free_gpu_memory_fraction'?");
  EXPECT_EQ(ErrorOf("zzz: 1"), "line 1: 'zzz': unknown key");
}

TEST(ConfigTest, WrongTypesAndRanges) {
  EXPECT_EQ(ErrorOf("max_batch_size: many"),
            "line 1: 'max_batch_size': 'many' is no whole number; expected 1 to 1048576");
  for (const char* value : {"-1", "0", "1048577", "4294967296", "99999999999999999999"}) {
    EXPECT_EQ(ErrorOf(std::string("max_batch_size: ") + value),
              std::string("line 1: 'max_batch_size': ") + value + " is outside 1 to 1048576");
  }
  for (const char* value : {"1.5", "''", "0x10", "nan"}) {
    EXPECT_THAT(ErrorOf(std::string("max_batch_size: ") + value),
                HasSubstr("is no whole number; expected 1 to 1048576"));
  }
  for (const char* value : {"[1]", "{a: 1}"}) {
    EXPECT_THAT(ErrorOf(std::string("max_batch_size: ") + value),
                HasSubstr("expected a whole number, got "));
  }
  const auto fraction = [](const std::string& value) {
    return ErrorOf("kv_cache_config: {free_gpu_memory_fraction: " + value + "}");
  };
  for (const char* value : {"high", ".nan", "nan"}) {
    EXPECT_THAT(fraction(value), HasSubstr("is no number; expected 1e-06 to 1"));
  }
  for (const char* value : {"inf", "-0.5", "0", "1.01"}) {
    EXPECT_THAT(fraction(value), HasSubstr(std::string(value) + " is outside 1e-06 to 1"));
  }
  EXPECT_THAT(fraction("[0.9]"), HasSubstr("expected a number, got a list"));
  EXPECT_THAT(ErrorOf("enable_chunked_prefill: maybe"), HasSubstr("true or false, got 'maybe'"));
  EXPECT_THAT(ErrorOf("enable_chunked_prefill: 2"), HasSubstr("true or false"));
  EXPECT_THAT(ErrorOf("cuda_graph_config: {batch_sizes: 4}"), HasSubstr("expected a list"));
  EXPECT_THAT(ErrorOf("cuda_graph_config: {batch_sizes: [4, x]}"),
              HasSubstr("'x' is no whole number"));
  EXPECT_THAT(ErrorOf("kv_cache_config: 3"), HasSubstr("expected keys and values"));
  EXPECT_THAT(ErrorOf("dtype: [a]"), HasSubstr("expected a word"));
}

TEST(ConfigTest, KeysGivenTwice) {
  EXPECT_THAT(ErrorOf("dtype: auto\ndtype: auto\n"), HasSubstr("line 2: 'dtype': given twice"));
  EXPECT_THAT(ErrorOf("cuda_graph_config: {enable_padding: true, padding_enabled: true}"),
              HasSubstr("given twice"));
}

TEST(ConfigTest, TextThatIsNoMapping) {
  for (const std::string& text :
       {std::string("- 1"), std::string("word"), std::string("a: [1"), std::string("a: b: c"),
        std::string("\t{"), std::string("[a]: 1"), std::string("a: *nowhere"),
        std::string("dtype: auto\n---\ndtype: auto\n"), std::string("\xc3("),
        std::string(100'000, '['), std::string(100'000, '{')}) {
    EXPECT_FALSE(ErrorOf(text).empty());
  }
}

absl::Status Load(const std::string& text) {
  const TempDir dir;
  dir.Write("config.yml", text);
  ServerConfig config;
  std::vector<std::string> ignored;
  return LoadServerConfig(dir.File("config.yml"), config, ignored);
}

TEST(ConfigTest, FilesAreCheckedForValues) {
  EXPECT_TRUE(Load("max_batch_size: 1\nkv_cache_config: {free_gpu_memory_fraction: 1}").ok());
  EXPECT_THAT(Load("max_batch_size: 0").message(),
              HasSubstr("config.yml: line 1: 'max_batch_size': 0 is outside 1 to 1048576"));
  EXPECT_THAT(Load("kv_cache_config: {tokens_per_block: 0}").message(),
              HasSubstr("'kv_cache_config.tokens_per_block': 0 is outside 1 to "));
  EXPECT_THAT(Load("cuda_graph_config: {batch_sizes: [1, 0]}").message(),
              HasSubstr("'cuda_graph_config.batch_sizes': 0 is outside 1 to "));
  EXPECT_THAT(Load("dtype: int3").message(), HasSubstr("dtype is 'int3'; known: auto, float32"));
  EXPECT_THAT(Load("scheduler_config: {waiting_queue_policy: lifo}").message(),
              HasSubstr("'lifo'; known: fcfs, priority"));
  EXPECT_THAT(Load("max_inflight: 65").message(),
              HasSubstr("'max_inflight': 65 is outside 1 to 64"));
  EXPECT_TRUE(Load("queue_timeout_ms: 0").ok());
  EXPECT_TRUE(Load("cuda_graph_config: {batch_sizes: [4096]}").ok()) << "limits are derived later";
  EXPECT_TRUE(Load("max_batch_size: 8\ncuda_graph_config: {max_batch_size: 3840}").ok());
  EXPECT_THAT(Load("cuda_graph_config: {batch_sizes: [8, 9], max_batch_size: 8}").message(),
              HasSubstr("batch_sizes has 9; at most cuda_graph_config.max_batch_size 8"));
  EXPECT_THAT(Load("max_batch_size: 4\ncuda_graph_config: {batch_sizes: [8]}").message(),
              HasSubstr("batch_sizes has 8; at most max_batch_size 4"));
  EXPECT_THAT(Load("dtypo: 1").message(), HasSubstr("config.yml: line 1: 'dtypo'"));
}

// Flags are merged in after the file was read.
TEST(ConfigTest, MergedNumbersAreCheckedAlike) {
  ServerConfig config;
  config.set_max_batch_size(0);
  EXPECT_EQ(CheckServerConfig(config).message(), "max_batch_size: 0 is outside 1 to 1048576");
  config.set_max_batch_size(1);
  config.mutable_kv_cache_config()->set_free_gpu_memory_fraction(std::nan(""));
  EXPECT_EQ(CheckServerConfig(config).message(),
            "kv_cache_config.free_gpu_memory_fraction: 'nan' is no number; expected 1e-06 to 1");
  config.mutable_kv_cache_config()->set_free_gpu_memory_fraction(0.5);
  config.mutable_cuda_graph_config()->add_batch_sizes(0);
  EXPECT_EQ(CheckServerConfig(config).message(),
            "cuda_graph_config.batch_sizes: 0 is outside 1 to 1048576");
}

// A number without a range would be checked nowhere.
void ExpectRanges(const google::protobuf::Descriptor& descriptor, const std::string& path) {
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const auto& field = *descriptor.field(i);
    const std::string full = path + field.name();
    switch (field.cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE:
        ExpectRanges(*field.message_type(), full + ".");
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT32:
      case google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE:
        EXPECT_NE(FindConfigNumber(full), nullptr) << full;
        break;
      default:
        EXPECT_EQ(FindConfigNumber(full), nullptr) << full;
    }
  }
}

TEST(ConfigNumbersTest, EveryNumberHasARange) { ExpectRanges(*ServerConfig::descriptor(), ""); }

TEST(NumberRangeTest, NumbersAreRefusedInOneWay) {
  const NumberRange whole = {1, 64, /*whole=*/true};
  EXPECT_EQ(whole.Problem("1"), "");
  EXPECT_EQ(whole.Problem("64"), "");
  EXPECT_EQ(whole.Problem("65"), "65 is outside 1 to 64");
  EXPECT_EQ(whole.Problem("-9999999999999999999999"), "-9999999999999999999999 is outside 1 to 64");
  EXPECT_EQ(whole.Problem(""), "'' is no whole number; expected 1 to 64");
  EXPECT_EQ(whole.Problem("6.5"), "'6.5' is no whole number; expected 1 to 64");
  const NumberRange real = {0.5, 1e9};
  EXPECT_EQ(real.Problem("2.5e3"), "");
  EXPECT_EQ(real.Problem("0.25"), "0.25 is outside 0.5 to 1000000000");
  EXPECT_EQ(real.Problem("inf"), "inf is outside 0.5 to 1000000000");
  EXPECT_EQ(real.Problem("-nan"), "'-nan' is no number; expected 0.5 to 1000000000");
}

TEST(ConfigTest, FilesThatAreNone) {
  ServerConfig config;
  std::vector<std::string> ignored;
  for (const char* path : {"/nowhere/config.yml", "/", "/dev/zero"}) {
    const absl::Status status = LoadServerConfig(path, config, ignored);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << path;
    EXPECT_THAT(status.message(), HasSubstr(path));
  }
  EXPECT_THAT(Load(std::string((1 << 20) + 1, '#')).message(), HasSubstr("at most 1048576"));
}

TEST(NearestTest, EditDistance) {
  const std::vector<std::string> words = {"concurrency", "model", "dataset"};
  EXPECT_EQ(Nearest("concurency", words), "concurrency");
  EXPECT_EQ(Nearest("modle", words), "model");
  EXPECT_EQ(Nearest("dataset", words), "dataset");
  EXPECT_EQ(Nearest("xyz", words), "");
  EXPECT_EQ(Nearest("", words), "");
  EXPECT_EQ(Nearest("model", {}), "");
}

}  // namespace
}  // namespace regatta
