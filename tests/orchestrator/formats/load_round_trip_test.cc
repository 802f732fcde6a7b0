// When the requests of a point were sent: what exports say of it, and what imports make of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/str_replace.h"
#include "orchestrator/report/report.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/load_name.h"
#include "tests/orchestrator/formats/small_run.h"

namespace regatta {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

struct Asked {
  const char* arrival;
  uint32_t concurrency;
  double request_rate, burstiness, replay_speedup;
  const char* name;
};

void PrintTo(const Asked& asked, std::ostream* out) { *out << asked.arrival << ": " << asked.name; }

constexpr Asked kLoads[] = {
    {kClosedLoop, 4, 0, 0, 0, "concurrency 4"},
    {kPoisson, 0, 20, 0, 0, "20 req/s"},
    {kConstant, 8, 2.5, 0, 0, "2.5 req/s, at most 8 at once"},
    {kGamma, 0, 20, 0.5, 0, "20 req/s"},
    {kBurst, 0, 0, 0, 0, "all at once"},
    {kTraceReplay, 0, 0, 0, 1, "trace replay"},
    {kTraceReplay, 8, 0, 0, 5, "trace replay, 5 times as fast, at most 8 at once"},
};

StoredRun RunUnder(const Asked& asked) {
  StoredRun run = SmallRun();
  RegattaInfo& info = *run.sweep.mutable_points(0)->mutable_regatta();
  info.set_concurrency(asked.concurrency);
  info.mutable_load()->set_arrival(asked.arrival);
  info.mutable_load()->set_request_rate(asked.request_rate);
  info.mutable_load()->set_burstiness(asked.burstiness);
  info.mutable_load()->set_replay_speedup(asked.replay_speedup);
  return run;
}

RegattaInfo Imported(const std::vector<TextFile>& files, const ImportOptions& options = {}) {
  const auto runs = ImportFiles(files, options);
  EXPECT_TRUE(runs.ok()) << runs.status();
  return runs.ok() ? runs->front().sweep.points(0).regatta() : RegattaInfo();
}

RegattaInfo Imported(const std::string& text) { return Imported({{"f.json", text}}); }

// The same files as another tool would have written them.
std::vector<TextFile> WithoutOurs(std::vector<TextFile> files) {
  for (TextFile& file : files) {
    json value = json::parse(file.text, nullptr, /*allow_exceptions=*/false);
    if (!value.is_object()) continue;
    value.erase("regatta");
    file.text = value.dump();
  }
  return files;
}

std::string VllmFile(const std::string& load) {
  return absl::StrCat(R"({"duration": 1, "completed": 4, "output_throughput": 8, )", load, "}");
}

std::string AiperfFile(const std::string& config) {
  return absl::StrCat(R"({"request_latency": {"avg": 5}, "request_throughput": {"avg": 1},
      "output_token_throughput": {"avg": 7}, )",
                      config, "}");
}

class LoadRoundTrip : public ::testing::TestWithParam<std::tuple<const char*, Asked>> {};

TEST_P(LoadRoundTrip, Survives) {
  const auto& [format, asked] = GetParam();
  const StoredRun run = RunUnder(asked);
  const RegattaInfo info = Imported(Exported(run, format));
  EXPECT_EQ(LoadName(LoadOf(info)), asked.name);
  EXPECT_EQ(info.load().arrival(), asked.arrival);
  EXPECT_EQ(info.concurrency(), asked.concurrency);
}

INSTANTIATE_TEST_SUITE_P(Formats, LoadRoundTrip,
                         ::testing::Combine(::testing::Values("vllm", "aiperf", "inferencex",
                                                              "trtllm-bench", "csv", "markdown"),
                                            ::testing::ValuesIn(kLoads)));

class PrintedLoad : public ::testing::TestWithParam<Asked> {};

// The report alone: its line says the load, not the process that drew the gaps.
TEST_P(PrintedLoad, Survives) {
  std::vector<TextFile> files = Exported(RunUnder(GetParam()), "trtllm-bench");
  std::erase_if(files, [](const TextFile& file) { return file.name.ends_with(".json"); });
  const auto runs = ImportFiles(files, {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  const SweepReport& sweep = runs->front().sweep;
  const RegattaInfo& info = sweep.points(0).regatta();
  if (GetParam().arrival == std::string(kClosedLoop)) {
    EXPECT_EQ(LoadName(LoadOf(info)), GetParam().name);
    EXPECT_THAT(sweep.imported().notes(), Contains(HasSubstr("concurrency is the mean number")));
    EXPECT_THAT(files[0].text, Not(HasSubstr("! load")));
  } else {
    EXPECT_EQ(LoadName(LoadOf(info)), GetParam().name);
    EXPECT_THAT(sweep.imported().notes(), Not(Contains(HasSubstr("concurrency is"))));
  }
}

INSTANTIATE_TEST_SUITE_P(Loads, PrintedLoad, ::testing::ValuesIn(kLoads));

class NativeLoad : public ::testing::TestWithParam<std::tuple<const char*, Asked>> {};

TEST_P(NativeLoad, IsSaidInTheFieldsOfTheFormat) {
  const auto& [format, asked] = GetParam();
  const RegattaInfo info = Imported(WithoutOurs(Exported(RunUnder(asked), format)));
  EXPECT_EQ(LoadName(LoadOf(info)), asked.name);
  EXPECT_EQ(info.load().arrival(), asked.arrival);
  EXPECT_EQ(info.load().burstiness(), asked.burstiness);
}

INSTANTIATE_TEST_SUITE_P(Vllm, NativeLoad,
                         ::testing::Combine(::testing::Values("vllm"),
                                            ::testing::Values(kLoads[0], kLoads[1], kLoads[2],
                                                              kLoads[3], kLoads[4])));
INSTANTIATE_TEST_SUITE_P(Aiperf, NativeLoad,
                         ::testing::Combine(::testing::Values("aiperf"),
                                            ::testing::Values(kLoads[0], kLoads[1], kLoads[2],
                                                              kLoads[3], kLoads[5])));

TEST(VllmLoad, HasTheirTerms) {
  const auto written = [](const Asked& asked) {
    return json::parse(Exported(RunUnder(asked), "vllm")[0].text);
  };
  const json rate = written(kLoads[2]);
  EXPECT_EQ(rate["request_rate"], 2.5);
  EXPECT_EQ(rate["burstiness"], "inf") << "constant gaps";
  EXPECT_EQ(rate["max_concurrency"], 8);
  EXPECT_EQ(written(kLoads[1])["burstiness"], 1.0) << "Poisson";
  EXPECT_EQ(written(kLoads[3])["burstiness"], 0.5);
  const json burst = written(kLoads[4]);
  EXPECT_EQ(burst["request_rate"], "inf");
  EXPECT_EQ(burst["max_concurrency"], nullptr);
  EXPECT_EQ(written(kLoads[5])["request_rate"], nullptr) << "a trace has no rate";
}

TEST(VllmLoad, ARampEndsAtTheRate) {
  StoredRun run = RunUnder(kLoads[1]);
  LoadShape& load = *run.sweep.mutable_points(0)->mutable_regatta()->mutable_load();
  load.set_ramp_up("linear");
  load.set_ramp_up_start_rate(2);
  const std::vector<TextFile> files = Exported(run, "vllm");
  const json out = json::parse(files[0].text);
  EXPECT_EQ(out["request_rate"], "inf");
  EXPECT_EQ(out["ramp_up_end_rps"], 20);
  const LoadShape read = Imported(WithoutOurs(files)).load();
  EXPECT_EQ(read.request_rate(), 20);
  EXPECT_EQ(read.ramp_up(), "linear");
  EXPECT_EQ(read.ramp_up_start_rate(), 2);
}

TEST(VllmLoad, WhatWaitedForAPlaceWasDueBefore) {
  StoredRun run = RunUnder(kLoads[2]);
  run.requests[7].set_scheduled_ms(run.requests[7].sent_ms() - 40);
  const auto runs = ImportFiles(Exported(run, "vllm"), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  const RequestRecord& late = runs->front().requests[7];
  EXPECT_NEAR(late.sent_ms() - late.scheduled_ms(), 40, 1e-6);
  EXPECT_NEAR(late.sent_ms(), run.requests[7].sent_ms(), 1e-6);
}

// A rate with a limit: a request that waited for a place was due before it was sent.
StoredRun CappedRun() {
  StoredRun run = RunUnder(kLoads[2]);
  for (RequestRecord& r : run.requests) r.set_scheduled_ms(r.sent_ms() - 40);
  PointReport& point = *run.sweep.mutable_points(0);
  point = CompletePoint(point, {run.requests, {}});
  return run;
}

// The key that says when requests were due, left out as older releases do.
std::vector<TextFile> WithoutSchedule(std::vector<TextFile> files) {
  for (TextFile& file : files) {
    file.text = absl::StrReplaceAll(
        file.text, {{"\"queue_times\"", "\"q\""}, {"\"credit_issued_ns\"", "\"c\""}});
  }
  return files;
}

TEST(ExportedLoad, ARateAloneIsOfNoProcess) {
  const StoredRun run = RunUnder({"", 0, 20, 0, 0, "20 req/s"});
  EXPECT_EQ(json::parse(Exported(run, "vllm")[0].text)["burstiness"], nullptr);
  const std::vector<TextFile> files = Exported(run, "aiperf");
  EXPECT_EQ(json::parse(files[0].text)["input_config"]["phases"][0]["type"], nullptr);
  EXPECT_EQ(Imported(WithoutOurs(files)).load().arrival(), "");
}

class Schedule : public ::testing::TestWithParam<const char*> {};

TEST_P(Schedule, ComesBackWhereItIsTold) {
  const StoredRun was = CappedRun();
  const auto runs = ImportFiles(Exported(was, GetParam()), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport& point = runs->front().sweep.points(0);
  EXPECT_TRUE(IsFromDue(point));
  EXPECT_NEAR(HeadlineTtft(point).p95(), HeadlineTtft(was.sweep.points(0)).p95(), 1e-2);
  const RequestRecord& first = runs->front().requests[0];
  EXPECT_EQ(first.scheduled_ms(), 0) << "the first one due is the origin";
  EXPECT_NEAR(first.sent_ms(), 40, 1e-2);
}

TEST_P(Schedule, IsNotMadeUpWhereItIsNotTold) {
  const auto runs = ImportFiles(WithoutSchedule(Exported(CappedRun(), GetParam())), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  const PointReport& point = runs->front().sweep.points(0);
  EXPECT_FALSE(IsFromDue(point));
  EXPECT_FALSE(point.regatta().has_ttft_scheduled_ms());
  for (const auto& tail : point.regatta().tails()) {
    EXPECT_THAT(tail.metric(), Not(HasSubstr("scheduled")));
  }
  EXPECT_FALSE(runs->front().requests[0].has_scheduled_ms());
  EXPECT_THAT(runs->front().sweep.imported().notes(),
              Contains(HasSubstr("when they were due is not told")));
  for (const TextFile& again : Exported(runs->front(), GetParam())) {
    EXPECT_THAT(again.text, Not(HasSubstr("queue_times")));
    EXPECT_THAT(again.text, Not(HasSubstr("credit_issued_ns")));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Schedule, ::testing::Values("vllm", "aiperf"));

// Their credit waits for a place.
TEST(AiperfLoad, TheirCreditUnderALimitIsNoSchedule) {
  std::vector<TextFile> files = Exported(CappedRun(), "aiperf");
  files[0].text = absl::StrReplaceAll(files[0].text, {{"measured_by", "by"}});
  const auto runs = ImportFiles(files, {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_FALSE(IsFromDue(runs->front().sweep.points(0)));
}

TEST(AiperfLoad, UsersThatPaceTheirTurnsAreALimitedRate) {
  for (const char* config :
       {R"({"phases": [{"name": "profiling", "type": "user_centric", "rate": 4, "users": 16}]})",
        R"({"loadgen": {"user_centric_rate": 4, "num_users": 16}})"}) {
    const auto runs =
        ImportFiles({{"f.json", AiperfFile(absl::StrCat(R"("input_config": )", config))}}, {});
    ASSERT_TRUE(runs.ok()) << runs.status();
    const SweepReport& sweep = runs->front().sweep;
    EXPECT_EQ(LoadName(LoadOf(sweep.points(0).regatta())), "4 req/s, at most 16 at once");
    EXPECT_THAT(sweep.imported().notes(), Contains(HasSubstr("user_centric")));
  }
}

TEST(VllmLoad, AShapeOfGapsThatIsNotOnRecordIsNull) {
  StoredRun run = RunUnder(kLoads[3]);
  const auto burstiness = [](const StoredRun& run) {
    return json::parse(Exported(run, "vllm")[0].text)["burstiness"];
  };
  EXPECT_EQ(burstiness(run), 0.5);
  const auto runs = ImportFiles(Exported(run, "csv"), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(burstiness(runs->front()), nullptr);
  EXPECT_THAT(runs->front().sweep.imported().notes(), Contains(HasSubstr("shape of gamma gaps")));
  EXPECT_THAT(runs->front().sweep.imported().notes(), Contains(HasSubstr("does not tell a ramp")));
}

TEST(ImportedLoad, ContradictionsAreRefused) {
  const auto refusal = [](const std::string& load) {
    return Message(ImportFiles(
        {{"f.json", VllmFile(absl::StrCat(R"("regatta": {"load": {)", load, "}}"))}}, {}));
  };
  EXPECT_THAT(refusal(R"("arrival": "closed-loop", "request_rate": 5)"),
              HasSubstr("f.json: regatta: load: 'arrival' is \"closed-loop\", must be constant, "
                        "poisson or gamma beside a rate of 5"));
  EXPECT_THAT(refusal(R"("arrival": "burst", "request_rate": 5)"), HasSubstr("is \"burst\""));
  EXPECT_THAT(refusal(R"("arrival": "poisson")"), HasSubstr("as there is no rate"));
}

TEST(VllmLoad, TheBackendIsTheOneThatServed) {
  StoredRun run = SmallRun();
  run.sweep.mutable_points(0)->mutable_engine()->set_backend("openai");
  const json out = json::parse(Exported(run, "vllm")[0].text);
  EXPECT_EQ(out["backend"], "openai");
  EXPECT_EQ(out["endpoint_type"], "openai");
}

TEST(VllmLoad, DefaultsAreABurst) {
  const RegattaInfo info =
      Imported(VllmFile(R"("request_rate": "inf", "burstiness": 1.0, "max_concurrency": null)"));
  EXPECT_EQ(info.load().arrival(), kBurst);
  EXPECT_EQ(LoadName(LoadOf(info)), "all at once");
}

TEST(VllmLoad, PythonsInfinityIsAConstantGap) {
  EXPECT_EQ(Imported(VllmFile(R"("request_rate": 4, "burstiness": Infinity)")).load().arrival(),
            kConstant);
  EXPECT_EQ(Imported(VllmFile(R"("request_rate": 4)")).load().arrival(), kPoisson);
}

TEST(VllmLoad, AnUnknownRampIsRefused) {
  const std::string file = VllmFile(R"("request_rate": "inf", "ramp_up_strategy": "steps")");
  EXPECT_THAT(Message(ImportFiles({{"f.json", file}}, {})),
              HasSubstr("'ramp_up_strategy' is \"steps\", must be one of linear, exponential"));
}

TEST(AiperfLoad, OlderReleasesHaveALoadGenerator) {
  const auto name = [](const std::string& config) {
    return LoadName(LoadOf(Imported(AiperfFile(R"("input_config": )" + config))));
  };
  EXPECT_EQ(name(R"({"loadgen": {"concurrency": 9, "request_rate_mode": "concurrency_burst"}})"),
            "concurrency 9");
  EXPECT_EQ(name(R"({"loadgen": {"request_rate": 3, "concurrency": 9}})"),
            "3 req/s, at most 9 at once");
  EXPECT_EQ(name(R"({"loadgen": {}, "input": {"fixed_schedule": true}})"), "trace replay");
  const LoadShape gamma =
      Imported(AiperfFile(
                   R"("input_config": {"loadgen": {"request_rate": 3, "arrival_pattern": "gamma",
         "arrival_smoothness": 2}})"))
          .load();
  EXPECT_EQ(gamma.arrival(), kGamma);
  EXPECT_EQ(gamma.burstiness(), 2);
}

TEST(AiperfLoad, AVariationStandsAboveItsPhases) {
  const RegattaInfo info = Imported(AiperfFile(
      R"("input_config": {"phases": [{"name": "warm", "kind": "warmup", "type": "concurrency",
           "concurrency": 1}, {"name": "p", "kind": "profiling", "type": "poisson", "rate": 5}]},
         "run_info": {"variation_values": {"phases.profiling.rate": 50}})"));
  EXPECT_EQ(LoadName(LoadOf(info)), "50 req/s");
  EXPECT_EQ(info.load().arrival(), kPoisson);
}

TEST(AiperfLoad, RecordsAloneDoNotSayIt) {
  const TextFile records = Exported(RunUnder(kLoads[1]), "aiperf")[1];
  EXPECT_THAT(Message(ImportFiles({records}, {})),
              HasSubstr("give --concurrency, or, of aiperf, its folder"));
}

TEST(InferencexLoad, HasUsersOfClosedLoopsOnly) {
  const auto users = [](const Asked& asked) {
    return json::parse(Exported(RunUnder(asked), "inferencex")[0].text)[0]["conc"];
  };
  EXPECT_EQ(users(kLoads[0]), 4);
  EXPECT_EQ(users(kLoads[2]), nullptr);
}

TEST(ImportedLoad, ConcurrencyIsGivenWhereNoneIsTold) {
  ImportOptions options;
  options.concurrency = 3;
  const std::vector<TextFile> files = {{"f.json", VllmFile(R"("request_rate": 4)")},
                                       {"g.json", VllmFile(R"("failed": 0)")}};
  const auto runs = ImportFiles(files, options);
  ASSERT_TRUE(runs.ok()) << runs.status();
  const SweepReport& sweep = runs->front().sweep;
  ASSERT_EQ(sweep.points_size(), 2);
  EXPECT_EQ(LoadName(LoadOf(sweep.points(0).regatta())), "concurrency 3");
  EXPECT_EQ(LoadName(LoadOf(sweep.points(1).regatta())), "4 req/s");
  EXPECT_THAT(sweep.imported().notes(), Contains(HasSubstr("the others keep theirs")));
}

TEST(ImportedLoad, IsNamedInReports) {
  const auto runs = ImportFiles(Exported(RunUnder(kLoads[2]), "aiperf"), {});
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_THAT(RenderSweepOverview(runs->front().sweep, /*color=*/false, 100),
              HasSubstr("2.5/s c=8"));
}

TEST(ExportedFiles, AreNamedByTheirLoad) {
  StoredRun run = RunUnder(kLoads[0]);
  for (const Asked& asked : {kLoads[2], kLoads[4], kLoads[6], kLoads[0]}) {
    *run.sweep.add_points() = RunUnder(asked).sweep.points(0);
  }
  std::vector<std::string> names;
  for (const TextFile& file : Exported(run, "vllm")) names.push_back(file.name);
  EXPECT_THAT(names, ::testing::ElementsAre("vllm-c4.json", "vllm-2.5rps-c8.json", "vllm-all.json",
                                            "vllm-trace-x5-c8.json", "vllm-c4-2.json"));
}

}  // namespace
}  // namespace regatta
