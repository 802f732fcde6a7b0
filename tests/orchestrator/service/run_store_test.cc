// The list of runs: kept, reopened, ordered, versioned.
#include "orchestrator/service/run_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/service/run_text.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

class RunStoreTest : public ::testing::Test {
 protected:
  RunStore Open() {
    auto store = RunStore::Open(path());
    CHECK(store.ok()) << store.status().message();
    return *std::move(store);
  }
  std::string path() const { return dir_.File("runs.sqlite"); }
  TempDir dir_;
};

RunSummary ARun(const std::string& id, RunState state) {
  RunSummary run;
  run.set_id(id);
  run.set_state(state);
  run.set_label("it's \"quoted\"; DROP TABLE runs --");
  run.set_target("grpc://router:9000");
  run.set_server("10.0.0.7:9000");
  run.set_command("recommend");
  run.add_flags("--concurrency=1,2");
  run.add_flags("--model=a model");
  run.set_created_utc("2026-11-22T18:00:00Z");
  run.set_points_planned(2);
  run.set_best_output_tok_s(812.25);
  return run;
}

TEST(RunTextTest, WhatHasEndedWithoutResultsWillHaveNone) {
  EXPECT_EQ(NoResultsText(ARun("2", RUN_QUEUED)), "run 2 has no results yet");
  EXPECT_EQ(NoResultsText(ARun("2", RUN_CANCELLED)), "run 2 has no results: it is cancelled");
}

TEST_F(RunStoreTest, WhatIsPutIsThereAfterReopening) {
  const RunSummary run = ARun("1", RUN_DONE);
  {
    RunStore store = Open();
    EXPECT_EQ(*store.NextId(), "1");
    ASSERT_TRUE(store.Put(run).ok());
    EXPECT_EQ(*store.NextId(), "2");
  }
  RunStore store = Open();
  const auto again = store.Get("1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), run.SerializeAsString());
  EXPECT_EQ(*store.NextId(), "2");
}

TEST_F(RunStoreTest, StoredBytesThatAreNoTextDoNotHideTheirRun) {
  RunStore store = Open();
  RunSummary run = ARun("1", RUN_FAILED);
  run.set_error("dataset:2: 'bad \xff'");
  ASSERT_TRUE(store.Put(run).ok());
  const auto runs = store.Newest(10);
  ASSERT_EQ(runs->size(), 1u);
  EXPECT_EQ(runs->front().error(), "dataset:2: 'bad \xef\xbf\xbd'");
  EXPECT_TRUE(RunSummary().ParseFromString(runs->front().SerializeAsString()));
}

TEST_F(RunStoreTest, PutReplaces) {
  RunStore store = Open();
  ASSERT_TRUE(store.Put(ARun("1", RUN_QUEUED)).ok());
  ASSERT_TRUE(store.Put(ARun("1", RUN_FAILED)).ok());
  EXPECT_EQ(store.Get("1")->state(), RUN_FAILED);
  EXPECT_EQ(store.Newest(10)->size(), 1u);
}

TEST_F(RunStoreTest, NewestFirstAndUnendedOldestFirst) {
  RunStore store = Open();
  const RunState states[] = {RUN_DONE, RUN_QUEUED, RUN_CANCELLED, RUN_RUNNING, RUN_CANCELLING};
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store.Put(ARun(std::to_string(i + 8), states[i])).ok());
  const auto newest = store.Newest(2);
  ASSERT_EQ(newest->size(), 2u);
  EXPECT_EQ((*newest)[0].id(), "12");  // a number, not a text
  EXPECT_EQ((*newest)[1].id(), "11");
  const auto unended = store.Unended();
  ASSERT_EQ(unended->size(), 3u);
  EXPECT_EQ((*unended)[0].id(), "9");
  EXPECT_EQ((*unended)[2].state(), RUN_CANCELLING);
}

TEST_F(RunStoreTest, UnknownIdsAreNamed) {
  RunStore store = Open();
  for (const char* id : {"7", "", "x", "1 OR 1=1", "-1", "99999999999999999999"}) {
    const auto run = store.Get(id);
    EXPECT_EQ(run.status().code(), absl::StatusCode::kNotFound) << id;
    EXPECT_THAT(run.status().message(), HasSubstr("there is no run"));
  }
}

TEST_F(RunStoreTest, AnOlderSchemaIsBroughtUpToDate) {
  {
    auto database = Database::Open(path());
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database
                    ->Execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, state, label, target, "
                              "flags, created_utc, started_utc, ended_utc, error, restarts, "
                              "points_planned, points_done, completed_requests, failed_requests, "
                              "best_output_tok_s, best_user_tok_s);"
                              "INSERT INTO runs VALUES (3, 1, 'old', 'grpc://router:9000', '[]', "
                              "'', '', '', '', 0, 0, 0, 0, 0, 0, 0);"
                              "PRAGMA user_version = 1")
                    .ok());
  }
  for (int life = 0; life < 2; ++life) {
    RunStore store = Open();
    const auto run = store.Get("3");
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_EQ(run->label(), "old");
    EXPECT_EQ(run->server(), "grpc://router:9000");
    EXPECT_EQ(run->command(), "sweep");
    ASSERT_TRUE(store.Put(ARun("4", RUN_QUEUED)).ok());
  }
}

TEST_F(RunStoreTest, ANewerSchemaIsRefused) {
  {
    auto database = Database::Open(path());
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->Execute("PRAGMA user_version = 99").ok());
  }
  const auto store = RunStore::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(store.status().message(), HasSubstr("schema 99"));
}

TEST_F(RunStoreTest, AFileThatIsNoDatabaseIsRefused) {
  dir_.Write("runs.sqlite", std::string(4096, 'x'));
  const auto store = RunStore::Open(path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(store.status().message(), HasSubstr(path()));
}

}  // namespace
}  // namespace regatta
