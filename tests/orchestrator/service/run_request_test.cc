// What clients may ask for, with which files, and what they get of them.
#include "orchestrator/service/run_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "orchestrator/service/run_fetch.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

StartRunRequest Request(const std::vector<std::string>& flags) {
  StartRunRequest request;
  for (const std::string& flag : flags) request.add_flags(flag);
  return request;
}

void ExpectRefused(const StartRunRequest& request, const std::string& why) {
  const auto target = CheckRequest(request);
  ASSERT_FALSE(target.ok()) << why;
  EXPECT_EQ(target.status().code(), absl::StatusCode::kInvalidArgument) << target.status();
  EXPECT_THAT(std::string(target.status().message()), HasSubstr(why));
}

TEST(CheckRequestTest, TheTargetIsTheUrlOrThisHost) {
  EXPECT_EQ(*CheckRequest(Request({"--url=grpc://router:9000/", "--concurrency=1,2"})),
            "grpc://router:9000");
  EXPECT_EQ(*CheckRequest(Request({"--model=org/name", "--tp=2", "--markdown=true"})), "local");
}

TEST(CheckRequestTest, WhatBelongsToTheHostIsRefused) {
  for (const char* flag : {"--output=/etc", "--report-json=/etc/passwd", "--bin-dir=/tmp",
                           "--tls-key=/etc/key", "--tls-ca=x", "--insecure=true", "--resume=/"}) {
    ExpectRefused(Request({flag}), "belongs to the service's host");
  }
}

TEST(CheckRequestTest, FlagsAreJudgedAsTheCommandJudgesThem) {
  ExpectRefused(Request({"--concurency=1"}), "--concurency: is no flag");
  ExpectRefused(Request({"--concurrency=0"}), "0 is not in 1..65536");
  ExpectRefused(Request({"--concurrency=8", "--num-requests=4"}), "at least the concurrency 8");
  ExpectRefused(Request({"--tp=0"}), "--tp");
  ExpectRefused(Request({"--stall-timeout=nan"}), "nan");
  ExpectRefused(Request({"--url=grpc://r:1", "--tp=2"}), "--tp has no effect with --url");
  ExpectRefused(Request({"--url=ftp://x"}), "--url 'ftp://x': write grpc://HOST:PORT of a router");
  ExpectRefused(Request({"--url=grpc://x"}), "'grpc://x' is not grpc://HOST:PORT");
  ExpectRefused(Request({"--url=http://"}), "http://");
  ExpectRefused(Request({"--tp-size=2"}), "give it as --tp");
  for (const char* flag : {"sweep", "-m=x", "--markdown", "", "=", "--"}) {
    ExpectRefused(Request({flag}), "is not --name=value");
  }
  ExpectRefused(Request({std::string("--model=a\0b", 11)}), "is not --name=value");
  ExpectRefused(Request({"--request-rate=5", "--ramp-up=exponential"}), "--ramp-up");
  ExpectRefused(Request({"--goodput=nonsense:3"}), "--goodput");
}

TEST(CheckRequestTest, EachCommandHasItsOwnFlags) {
  StartRunRequest request = Request({"--url=http://server:8000", "--goal=ttft"});
  ExpectRefused(request, "--goal: is no flag of `regatta sweep`");
  request.set_command("recommend");
  EXPECT_EQ(*CheckRequest(request), "http://server:8000");
  request.add_flags("--concurrency=4");
  ExpectRefused(request, "--concurrency: is no flag of `regatta recommend`");
  request = Request({"--repeats=1"});
  request.set_command("recommend");
  ExpectRefused(request, "--repeats is 1, must be at least 2");
  request = Request({"--model=org/name", "--gpus=4", "--layouts=tp4"});
  request.set_command("partition");
  EXPECT_EQ(*CheckRequest(request), "local");
  request.add_flags("--tp=2");
  ExpectRefused(request, "--tp, --pp, --ep and --dp are what is searched");
  request = Request({"--model=org/name", "--dry-run=true"});
  request.set_command("partition");
  ExpectRefused(request, "--dry-run measures nothing");
  request.set_command("serve");
  ExpectRefused(request, "command: 'serve' is none of sweep, recommend, partition");
}

TEST(CheckRequestTest, RunningRoutersAreChangedOnlyWhereTheServiceAllowsIt) {
  StartRunRequest request = Request({"--url=grpc://router:9000", "--apply=true"});
  request.set_command("recommend");
  ExpectRefused(request, "--apply: changes the limits of a running router");
  EXPECT_TRUE(CheckRequest(request, /*allow_changes=*/true).ok());
  request = Request({"--url=grpc://router:9000", "--model=org/name"});
  request.set_command("partition");
  ExpectRefused(request, "--url: re-forms the pool of a running router");
  EXPECT_TRUE(CheckRequest(request, /*allow_changes=*/true).ok());
}

TEST(CheckRequestTest, SizesHaveLimits) {
  const std::vector<std::string> most(200, "--markdown=true");
  EXPECT_TRUE(CheckRequest(Request(most)).ok());
  ExpectRefused(Request(std::vector<std::string>(201, "--markdown=true")), "201 are more than 200");
  const std::string model = "--model=";
  EXPECT_TRUE(CheckRequest(Request({model + std::string(4096 - model.size(), 'm')})).ok());
  ExpectRefused(Request({model + std::string(4097 - model.size(), 'm')}), "at most 4096 bytes");
  StartRunRequest request;
  request.set_label(std::string(200, 'l'));
  EXPECT_TRUE(CheckRequest(request).ok());
  request.set_label(std::string(201, 'l'));
  ExpectRefused(request, "201 bytes, at most 200");
  request.set_label("a\x1b[2J");
  ExpectRefused(request, "control characters");
  request = Request({"--dataset=d"});
  InputFile& file = *request.add_files();
  file.set_flag("--dataset");
  file.mutable_content()->assign(kMaxInputBytes, 'x');
  EXPECT_TRUE(CheckRequest(request).ok());
  file.mutable_content()->push_back('x');
  ExpectRefused(request, "at most 67108864");
}

TEST(CheckRequestTest, FilesBelongToFlagsThatTakeThem) {
  StartRunRequest request = Request({"--dataset=d"});
  request.add_files()->set_flag("--model");
  ExpectRefused(request, "--model: names no file that can be sent");
  request.mutable_files(0)->set_flag("../../etc/passwd");
  ExpectRefused(request, "names no file");
  request.mutable_files(0)->set_flag("--config");
  ExpectRefused(request, "--config: its file was sent, so the flag must be given");
  request.mutable_files(0)->set_flag("--dataset");
  *request.add_files() = request.files(0);
  ExpectRefused(request, "two files");
}

TEST(FlagsWithPathsTest, SentFilesWinOverTheServicesData) {
  const TempDir input, data;
  data.Write("shared.jsonl", "x");
  StartRunRequest request = Request({"--tp=2", "--dataset=shared.jsonl"});
  const std::vector<std::string> flags(request.flags().begin(), request.flags().end());
  ASSERT_TRUE(StoreFiles(request, input.path()).ok());
  EXPECT_THAT(*FlagsWithPaths(flags, input.path(), data.path()),
              ElementsAre("--tp=2", "--dataset=" + data.File("shared.jsonl")));
  InputFile& file = *request.add_files();
  file.set_flag("--dataset");
  file.set_content("sent");
  ASSERT_TRUE(StoreFiles(request, input.path()).ok());
  EXPECT_THAT(*FlagsWithPaths(flags, input.path(), data.path()),
              ElementsAre("--tp=2", "--dataset=" + input.File("dataset")));
}

TEST(FlagsWithPathsTest, OtherFilesOfTheHostCannotBeNamed) {
  const TempDir input, data;
  for (const char* path : {"/etc/passwd", "../x", "a/../../x", "", "missing"}) {
    const std::vector<std::string> flags = {absl::StrCat("--dataset=", path)};
    const auto placed = FlagsWithPaths(flags, input.path(), data.path());
    EXPECT_EQ(placed.status().code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(std::string(placed.status().message()), HasSubstr("--data"));
  }
}

FileChunk Chunk(const std::string& path, const std::string& data, bool last) {
  FileChunk chunk;
  chunk.set_path(path);
  chunk.set_data(data);
  chunk.set_last(last);
  return chunk;
}

TEST(FetchedFilesTest, FilesArePutTogether) {
  const TempDir dir;
  FetchedFiles files(dir.path());
  for (const FileChunk& chunk :
       {Chunk("a/b.txt", "12", false), Chunk("a/b.txt", "3", true), Chunk("empty", "", true)}) {
    ASSERT_TRUE(files.Add(chunk).ok());
  }
  ASSERT_TRUE(files.Finish().ok());
  EXPECT_EQ(files.count(), 2);
  std::string text;
  std::getline(std::ifstream(dir.File("a/b.txt")), text);
  EXPECT_EQ(text, "123");
}

TEST(FetchedFilesTest, NothingIsWrittenElsewhere) {
  const TempDir dir;
  for (const char* path : {"", "/etc/x", "../x", "a/../../x", "./x", "a/", ".."}) {
    FetchedFiles files(dir.File("inside"));
    EXPECT_EQ(files.Add(Chunk(path, "x", true)).code(), absl::StatusCode::kDataLoss) << path;
  }
}

TEST(FetchedFilesTest, AFileWithoutEndIsNoticed) {
  const TempDir dir;
  FetchedFiles files(dir.path());
  ASSERT_TRUE(files.Add(Chunk("a", "x", false)).ok());
  EXPECT_EQ(files.Finish().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(files.Add(Chunk("b", "x", true)).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace regatta
