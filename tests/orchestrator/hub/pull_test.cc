// Pulling from a hub on loopback that behaves, and misbehaves, as told.
#include "orchestrator/hub/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/hub/file_lock.h"
#include "orchestrator/hub/hub_cache.h"
#include "tests/testing/hub_server.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::HubServer;
using ::testing::Not;

constexpr char kCommit[] = "0123456789abcdef0123456789abcdef01234567";
constexpr size_t kShardBytes = 300'000;

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class PullTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string dir = hub_.File("acme/tiny");
    fs::create_directories(dir + "/original");
    hub_.Write("acme/tiny/config.json", "{\"model\": 1}");
    hub_.Write("acme/tiny/tokenizer.json", "{}");
    hub_.Write("acme/tiny/chat_template.jinja", "{{ x }}");
    hub_.Write("acme/tiny/README.md", "read me");
    hub_.Write("acme/tiny/pytorch_model.bin", "pickle");
    hub_.Write("acme/tiny/original/params.json", "{}");
    hub_.Write("acme/tiny/model.safetensors.index.json",
               "{\"weight_map\": {\"a\": \"model-1-of-2.safetensors\", \"b\": "
               "\"model-2-of-2.safetensors\"}}");
    for (int i = 1; i <= 2; ++i) hub_.Write(Shard(i), ShardBytes(i));
  }

  static std::string Shard(int i) {
    return absl::StrCat("acme/tiny/model-", i, "-of-2.safetensors");
  }
  static std::string ShardBytes(int i) {
    std::string bytes(kShardBytes, '\0');
    for (size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<char>(k * i >> 3);
    return bytes;
  }

  void Serve(const std::vector<std::string>& arguments = {}) {
    server_ = std::make_unique<HubServer>(hub_.path(), arguments);
    options_.hub.endpoint = *ParseHttpUrl(server_->url());
    options_.hub.endpoint.target.clear();
    options_.hub.cache_dir = cache_.path();
    options_.repository = "acme/tiny";
    options_.download.retry.first_wait = absl::Milliseconds(1);
    options_.out = nullptr;
  }
  absl::StatusOr<std::string> PullNow() { return Pull(options_, stop_); }
  void ExpectError(absl::StatusCode code, const char* message) {
    const auto pulled = PullNow();
    EXPECT_EQ(pulled.status().code(), code) << pulled.status();
    EXPECT_THAT(std::string(pulled.status().message()), HasSubstr(message));
  }
  void ExpectComplete(const absl::StatusOr<std::string>& snapshot) {
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    for (int i = 1; i <= 2; ++i) {
      EXPECT_EQ(ReadFile(absl::StrCat(*snapshot, "/model-", i, "-of-2.safetensors")),
                ShardBytes(i));
    }
    EXPECT_EQ(ReadFile(*snapshot + "/config.json"), "{\"model\": 1}");
  }
  // The lines that a pull writes.
  std::string WhatPullSays() {
    TempDir dir;
    options_.out = std::fopen(dir.File("said").c_str(), "w");
    PullNow().IgnoreError();
    std::fclose(std::exchange(options_.out, nullptr));
    return ReadFile(dir.File("said"));
  }
  std::vector<std::string> FilesOfCache(const std::string& ending) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(cache_.path())) {
      if (absl::EndsWith(entry.path().string(), ending)) names.push_back(entry.path());
    }
    return names;
  }

  TempDir hub_, cache_;
  std::unique_ptr<HubServer> server_;
  PullOptions options_;
  std::atomic<bool> stop_{false};
};

TEST_F(PullTest, WhatAModelNeedsComesInTheCachesLayout) {
  Serve();
  const auto snapshot = PullNow();
  ExpectComplete(snapshot);
  const std::string repository = cache_.File("models--acme--tiny");
  EXPECT_EQ(*snapshot, absl::StrCat(repository, "/snapshots/", kCommit));
  EXPECT_EQ(ReadFile(repository + "/refs/main"), kCommit);
  // Git's own name of that blob: `git hash-object`.
  EXPECT_EQ(fs::read_symlink(*snapshot + "/tokenizer.json"),
            "../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b");
  EXPECT_EQ(fs::read_symlink(*snapshot + "/model-1-of-2.safetensors").filename().string().size(),
            64u);
  EXPECT_TRUE(fs::exists(*snapshot + "/chat_template.jinja"));
  for (const char* name : {"README.md", "pytorch_model.bin", "original"}) {
    EXPECT_FALSE(fs::exists(*snapshot + "/" + name)) << name;
  }
  EXPECT_TRUE(FilesOfCache(".incomplete").empty());
}

TEST_F(PullTest, WhatIsThereIsNotFetchedAgain) {
  Serve();
  ExpectComplete(PullNow());
  const size_t before = server_->Requests().size();
  ExpectComplete(PullNow());
  const auto requests = server_->Requests();
  for (size_t i = before; i < requests.size(); ++i) {
    EXPECT_THAT(requests[i], Not(HasSubstr("GET 127.0.0.1 /acme"))) << "contents are there";
  }
  EXPECT_EQ(*CachedSnapshot(options_), *PullNow());
  options_.hub.offline = true;
  server_.reset();
  ExpectComplete(PullNow());
}

TEST_F(PullTest, OfflineWithoutACacheSaysSo) {
  Serve();
  options_.hub.offline = true;
  ExpectError(absl::StatusCode::kNotFound, "told to be offline");
  EXPECT_TRUE(server_->Requests().empty());
}

TEST_F(PullTest, ALostConnectionIsResumedWhereItBroke) {
  Serve({"--cut", "100000"});
  ExpectComplete(PullNow());
  EXPECT_THAT(server_->Requests(),
              Contains(AllOf(HasSubstr("/storage/" + Shard(1)), HasSubstr("range=bytes=100000-"))));
}

TEST_F(PullTest, AnInterruptedPullIsResumedByTheNext) {
  Serve({"--cut", "100000"});
  options_.download.retry.attempts = 1;
  options_.connections = 1;
  const absl::Status cut = PullNow().status();
  EXPECT_EQ(cut.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(cut.message()),
              AllOf(HasSubstr("model-1-of-2.safetensors (100000 of 300000 bytes are here): "),
                    HasSubstr("it closed the connection within an answer; run it again: what came "
                              "is kept")));
  EXPECT_FALSE(FilesOfCache(".incomplete").empty());
  EXPECT_FALSE(CachedSnapshot(options_).ok());
  options_.download.retry.attempts = 3;
  ExpectComplete(PullNow());
  EXPECT_THAT(server_->Requests(), Contains(HasSubstr("range=bytes=100000-")));
}

TEST_F(PullTest, WrongBytesAreThrownAway) {
  Serve({"--corrupt"});
  ExpectError(absl::StatusCode::kDataLoss, "do not have the digest");
  EXPECT_FALSE(CachedSnapshot(options_).ok());
  // What is left of the other shard, which the failure cut short, is found out too.
  Serve();
  ExpectComplete(PullNow());
}

TEST_F(PullTest, ABusyHubIsAskedAgain) {
  Serve({"--busy", "2"});
  ExpectComplete(PullNow());
  fs::remove_all(cache_.File("models--acme--tiny"));
  Serve({"--busy", "100"});
  ExpectError(absl::StatusCode::kUnavailable, "answers 503; the trouble is the server's");
  Serve({"--busy", "100", "--busy-status", "429"});
  ExpectError(absl::StatusCode::kUnavailable,
              "too many requests: try again later, or set HF_TOKEN");
}

TEST_F(PullTest, AHubThatAsksForAWaitGetsIt) {
  Serve({"--busy", "1", "--busy-status", "429", "--retry-after", "1"});
  const absl::Time start = absl::Now();
  ExpectComplete(PullNow());
  EXPECT_GE(absl::Now() - start, absl::Seconds(1));
  fs::remove_all(cache_.File("models--acme--tiny"));
  Serve({"--busy", "1", "--busy-status", "429", "--retry-after", "3600"});
  ExpectError(absl::StatusCode::kUnavailable, "answers 429");  // at once
}

TEST_F(PullTest, WhoHasTheModelDoesNotWaitForAHubThatIsAway) {
  Serve();
  ExpectComplete(PullNow());
  server_.reset();
  options_.download.retry.first_wait = absl::Seconds(5);
  const absl::Time start = absl::Now();
  ExpectComplete(PullNow());
  EXPECT_LT(absl::Now() - start, absl::Seconds(5)) << "asked once";
  options_.parts = ModelParts::kAll;
  fs::remove(FilesOfCache("model-1-of-2.safetensors")[0]);
  options_.download.retry.first_wait = absl::Milliseconds(1);
  const std::string said = WhatPullSays();
  EXPECT_THAT(said, HasSubstr("again in 1ms")) << "asked again for what is not there";
}

TEST_F(PullTest, AHostThatDoesNotExistIsLookedUpOnce) {
  Serve();
  options_.hub.endpoint.host = "hub.invalid";
  ExpectError(absl::StatusCode::kUnavailable, "hub.invalid");
  ExpectError(absl::StatusCode::kUnavailable, "there is no host of that name");
  EXPECT_THAT(WhatPullSays(), Not(HasSubstr("again in")));
}

TEST_F(PullTest, WhoHasTheModelNeedsNoHub) {
  Serve();
  options_.download.retry.attempts = 2;
  server_.reset();
  ExpectError(absl::StatusCode::kUnavailable, "HF_ENDPOINT names another hub");
  Serve();
  ExpectComplete(PullNow());
  server_.reset();
  ExpectComplete(PullNow());
  options_.revision = "other";
  ExpectError(absl::StatusCode::kUnavailable, "revision 'other' is not in the cache");
}

TEST_F(PullTest, TheTokenGoesToTheHubAlone) {
  Serve({"--token", "secret"});
  ExpectError(absl::StatusCode::kUnauthenticated, "set HF_TOKEN");
  options_.hub.token = "other";
  ExpectError(absl::StatusCode::kUnauthenticated, "is not valid");
  options_.hub.token = "secret";
  ExpectComplete(PullNow());
  int storage = 0;
  for (const std::string& request : server_->Requests()) {
    if (!absl::StrContains(request, "/storage/")) continue;
    ++storage;
    EXPECT_THAT(request, AllOf(HasSubstr(" localhost "), HasSubstr("auth=- ")));
  }
  EXPECT_EQ(storage, 2);
}

TEST_F(PullTest, RefusalsSayWhatToDo) {
  Serve({"--gated"});
  ExpectError(absl::StatusCode::kPermissionDenied, "accept its terms at http://127.0.0.1:");
  Serve({"--forbidden"});
  options_.hub.token = "mine";
  ExpectError(absl::StatusCode::kPermissionDenied, "give it the right to read this repository");
  Serve();
  options_.revision = "v7";
  ExpectError(absl::StatusCode::kNotFound, "no such --revision");
  options_.revision = "main";
  options_.repository = "acme/none";
  ExpectError(absl::StatusCode::kNotFound, "is the name right?");
  options_.repository = "acme";
  ExpectError(absl::StatusCode::kInvalidArgument, "is not org/name");
  options_.repository = "acme/tiny";
  options_.revision = "../../x";
  ExpectError(absl::StatusCode::kInvalidArgument, "--revision");
}

TEST_F(PullTest, NamesThatLeadElsewhereStopEverything) {
  for (const char* name : {"../../../evil.json", "/etc/evil", "a/./b", "a\\b", "x\ny"}) {
    Serve({"--hostile", name});
    ExpectError(absl::StatusCode::kInvalidArgument, "could lead elsewhere");
    EXPECT_TRUE(fs::is_empty(cache_.path())) << name;
  }
}

TEST_F(PullTest, APickleAloneIsNoModel) {
  for (int i = 1; i <= 2; ++i) fs::remove(hub_.File(Shard(i)));
  Serve();
  ExpectError(absl::StatusCode::kFailedPrecondition, "only pickles (pytorch_model.bin)");
  options_.parts = ModelParts::kWithoutWeights;
  EXPECT_TRUE(PullNow().ok());
  EXPECT_TRUE(CachedSnapshot(options_).ok());
  options_.parts = ModelParts::kAll;
  EXPECT_FALSE(CachedSnapshot(options_).ok()) << "weights are missing";
}

TEST_F(PullTest, ShardsComeAtOnceUpToTheLimit) {
  const std::vector<std::string> slow = {"--delay", "0.5"};
  Serve(slow);
  ExpectComplete(PullNow());
  EXPECT_THAT(server_->Requests(), Contains("running=2"));
  fs::remove_all(cache_.File("models--acme--tiny"));
  Serve(slow);
  options_.connections = 1;
  ExpectComplete(PullNow());
  EXPECT_THAT(server_->Requests(), Not(Contains("running=2")));
}

TEST_F(PullTest, TwoPullsOfOneModelShareTheWork) {
  Serve({"--delay", "0.2"});
  absl::StatusOr<std::string> other;
  std::thread thread([&] { other = PullNow(); });
  ExpectComplete(PullNow());
  thread.join();
  ExpectComplete(other);
  const auto requests = server_->Requests();
  EXPECT_EQ(std::count_if(requests.begin(), requests.end(),
                          [](const auto& line) { return absl::StrContains(line, "/storage/"); }),
            2);
}

TEST_F(PullTest, ALockThatIsNeverLeftHasADeadline) {
  Serve();
  ExpectComplete(PullNow());
  for (const std::string& blob : FilesOfCache("9e26dfeeb6e641a33dae4961196235bdb965b21b")) {
    fs::remove(blob);
  }
  const HubCache cache(cache_.path(), "acme/tiny");
  const auto held = FileLock::Take(cache.LockPath("9e26dfeeb6e641a33dae4961196235bdb965b21b"),
                                   [] { return absl::InternalError("held"); });
  ASSERT_TRUE(held.ok()) << held.status();
  options_.download.lock_timeout = absl::Milliseconds(300);
  ExpectError(absl::StatusCode::kFailedPrecondition, "another process holds");
}

TEST_F(PullTest, CtrlCEndsItSoonAndKeepsWhatCame) {
  Serve({"--delay", "20"});
  std::thread interrupter([this] {
    absl::SleepFor(absl::Milliseconds(500));
    stop_ = true;
  });
  const absl::Time start = absl::Now();
  EXPECT_EQ(PullNow().status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  interrupter.join();
  EXPECT_FALSE(FilesOfCache("config.json").empty());
}

}  // namespace
}  // namespace regatta
