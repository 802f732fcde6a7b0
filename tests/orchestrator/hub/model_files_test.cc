// The Hub's names, digests and settings, and how far a pull is, without any server.
#include "orchestrator/hub/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "orchestrator/hub/checksum.h"
#include "orchestrator/hub/hub_cache.h"
#include "orchestrator/hub/hub_settings.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/hub/pull_progress.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ModelFiles, ConsolidatedWeightsAndSubfoldersAreLeft) {
  const auto choice = ChooseFiles(
      {"model-2-of-2.safetensors", "config.json", "model-1-of-2.safetensors",
       "consolidated.safetensors", "onnx/model.safetensors", "a.pth", "hf_quant_config.json"},
      ModelParts::kAll);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_THAT(choice->needed, ElementsAre("config.json", "hf_quant_config.json",
                                          "model-1-of-2.safetensors", "model-2-of-2.safetensors"));
  EXPECT_THAT(choice->pickles, ElementsAre("a.pth"));
  EXPECT_THAT(choice->others, ElementsAre("consolidated.safetensors", "onnx/model.safetensors"));
}

TEST(ModelFiles, ARepositoryWithoutAConfigurationIsNoModel) {
  const auto choice = ChooseFiles({"model.safetensors"}, ModelParts::kAll);
  EXPECT_EQ(choice.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ModelFiles, ADirectoryIsCompleteWithEveryShardOfItsIndex) {
  TempDir dir;
  dir.Write("config.json", "{}");
  EXPECT_FALSE(HasParts(dir.path(), ModelParts::kWithoutWeights));
  dir.Write("tokenizer.json", "{}");
  EXPECT_TRUE(HasParts(dir.path(), ModelParts::kWithoutWeights));
  EXPECT_FALSE(HasParts(dir.path(), ModelParts::kAll));
  dir.Write("model.safetensors.index.json",
            "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
  dir.Write("model-1.safetensors", "x");
  EXPECT_FALSE(HasParts(dir.path(), ModelParts::kAll));
  dir.Write("model-2.safetensors", "x");
  EXPECT_TRUE(HasParts(dir.path(), ModelParts::kAll));
  dir.Write("model.safetensors.index.json", "not JSON");
  EXPECT_FALSE(HasParts(dir.path(), ModelParts::kAll));
}

TEST(HubNames, RepositoriesRevisionsAndBlobs) {
  EXPECT_TRUE(IsRepositoryId("meta-llama/Llama-3.1-8B_x"));
  for (const char* bad : {"gpt2", "/x", "a/", "a/b/c", "../x", "a/..", "-a/b", "a/b--c", "a/b c"}) {
    EXPECT_FALSE(IsRepositoryId(bad)) << bad;
  }
  EXPECT_TRUE(IsRevision("refs/pr/7"));
  for (const char* bad : {"", "../x", "a//b", "/a", "a/.."}) EXPECT_FALSE(IsRevision(bad)) << bad;
  EXPECT_TRUE(IsBlobName("abc-1"));
  for (const char* bad : {"", "..", "a/b", "\""}) EXPECT_FALSE(IsBlobName(bad)) << bad;
}

// Of the empty file: sha256sum, and git hash-object.
TEST(HubChecksum, BothOfTheHubsDigests) {
  for (const char* etag : {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                           "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"}) {
    EXPECT_TRUE(Checksum(etag, 0).Matches()) << etag;
    Checksum other(etag, 0);
    other.Add("x");
    EXPECT_FALSE(other.Matches()) << etag;
  }
  EXPECT_FALSE(Checksum("an-opaque-tag", 3).checkable());
}

TEST(HubSettings, VariablesDecide) {
  TempDir home;
  home.Write("token", " of-the-file\n");
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE",
                           "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE"}) {
    ::unsetenv(name);
  }
  ::setenv("HF_HOME", home.path().c_str(), 1);
  auto settings = ReadHubSettings();
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->endpoint.ToString(), "https://huggingface.co");
  EXPECT_EQ(settings->cache_dir, home.path() + "/hub");
  EXPECT_EQ(settings->token, "of-the-file");
  EXPECT_FALSE(settings->offline);
  ::setenv("HF_TOKEN", "mine", 1);
  ::setenv("HF_HUB_CACHE", "/elsewhere", 1);
  ::setenv("HF_HUB_OFFLINE", "1", 1);
  ::setenv("HF_ENDPOINT", "http://mirror:8080/hf/", 1);
  settings = ReadHubSettings();
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->endpoint.ToString(), "http://mirror:8080/hf");
  EXPECT_EQ(settings->cache_dir, "/elsewhere");
  EXPECT_EQ(settings->token, "mine");
  EXPECT_TRUE(settings->offline);
  ::setenv("HF_TOKEN", "two\nlines", 1);
  EXPECT_THAT(std::string(ReadHubSettings().status().message()), HasSubstr("HF_TOKEN"));
}

TEST(ModelArgument, ADirectoryStaysWhatItIs) {
  const std::atomic<bool> stop = false;
  TempDir dir;
  EXPECT_EQ(*ResolveModel(dir.path(), ModelParts::kAll, stop), dir.path());
  EXPECT_EQ(*ResolveModel("", ModelParts::kAll, stop), "");
  EXPECT_EQ(*ResolveModel("./no/such/dir", ModelParts::kAll, stop), "./no/such/dir");
}

TEST(PullProgress, AShareARateAndATimeLeft) {
  EXPECT_EQ(FormatPull(4'800'000'000, 16'000'000'000, 100e6),
            "[######..............]  30 %  4.8 GB of 16.0 GB  100.0 MB/s  ETA 1m53s");
  EXPECT_EQ(FormatPull(0, 0, 0), "[####################] 100 %  0 kB of 0 kB");
}

}  // namespace
}  // namespace regatta
