// The whole service: `regatta orchestrator` against null servers, with clients that come, go and
// misbehave, and a service that is killed.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_deadline.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/cluster/certificates.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/service/orchestrator_client.h"
#include "orchestrator/service/run_store.h"
#include "orchestrator/workload/dataset.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(90);
constexpr char kProgram[] = REGATTA_BIN_DIR "/regatta";

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

bool AwaitTrue(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return condition();
}

// Command lines of living processes that contain `text`.
std::vector<std::string> ProcessesWith(const std::string& text) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::string line = Contents(entry.path() / "cmdline");
    std::replace(line.begin(), line.end(), '\0', ' ');
    if (line.find(text) != std::string::npos) found.push_back(line);
  }
  return found;
}

// Kills such a process; false when there is none.
bool KillOneWith(const std::string& text) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    if (Contents(entry.path() / "cmdline").find(text) == std::string::npos) continue;
    return ::kill(std::stoi(entry.path().filename()), SIGKILL) == 0;
  }
  return false;
}

// Environments of such processes, one after another.
std::string EnvironmentsOf(const std::string& text) {
  std::string environments;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    if (Contents(entry.path() / "cmdline").find(text) == std::string::npos) continue;
    environments += Contents(entry.path() / "environ");
  }
  return environments;
}

class OrchestratorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<DatasetEntry> entries(300);
    for (uint32_t i = 0; i < entries.size(); ++i) {
      entries[i].task_id = absl::StrCat("task-", i);
      entries[i].input_ids.assign(4, i + 1);
      entries[i].output_tokens = 10;
    }
    ASSERT_TRUE(WriteDataset(entries, dir_.File("data.jsonl")).ok());
    dataset_ = Contents(dir_.File("data.jsonl"));
  }

  std::unique_ptr<NullServer> Target(int64_t interval_ms, const TlsOptions& tls = TlsOptions()) {
    auto server = NullServer::Start("127.0.0.1:0", {0, interval_ms * 1'000'000, 1}, tls);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  std::unique_ptr<ChildProcess> Launch(std::vector<std::string> arguments, const std::string& log) {
    arguments.insert(arguments.begin(), kProgram);
    auto child = ChildProcess::Start("regatta", arguments, dir_.File(log));
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::string Await(ChildProcess& child) {
    AwaitTrue([&] { return child.Ended().has_value(); });
    return child.Ended().value_or("still running");
  }
  // Starts the service, for the first time or again; its port is another one then.
  void StartService(const std::vector<std::string>& more = {}) {
    fs::remove(dir_.File("address"));
    std::vector<std::string> arguments = {"orchestrator",    "--listen",           "127.0.0.1:0",
                                          "--address-file",  dir_.File("address"), "--state",
                                          dir_.File("state")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    service_ = Launch(arguments, "service.log");
    ASSERT_TRUE(AwaitTrue([&] { return fs::exists(dir_.File("address")); })) << Log();
  }
  void KillService() {
    ::kill(service_->pid(), SIGKILL);
    ASSERT_THAT(Await(*service_), HasSubstr("signal 9"));
  }
  std::string Log() const { return Contents(dir_.File("service.log")); }
  std::string Address() const {
    return std::string(absl::StripAsciiWhitespace(Contents(dir_.File("address"))));
  }
  std::string Url() const { return absl::StrCat("grpc://", Address()); }

  OrchestratorClient Client(const TlsOptions& tls = TlsOptions()) {
    auto client = OrchestratorClient::Dial({Url(), tls});
    CHECK(client.ok()) << client.status().message();
    return *std::move(client);
  }
  StartRunRequest Request(const NullServer& target, const std::string& concurrency = "1,2,4") {
    StartRunRequest request;
    request.add_flags(absl::StrCat("--url=grpc://", target.address()));
    request.add_flags("--dataset=data.jsonl");
    request.add_flags("--concurrency=" + concurrency);
    request.add_flags("--num-requests=16");
    InputFile& file = *request.add_files();
    file.set_flag("--dataset");
    file.set_content(dataset_);
    return request;
  }
  std::string Submit(OrchestratorClient& client, const StartRunRequest& request) {
    const auto run = client.Start(request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? run->id() : "";
  }
  RunSummary Find(OrchestratorClient& client, const std::string& id) {
    const ListRunsResponse runs = client.List(0).value_or(ListRunsResponse());
    const auto found = std::find_if(runs.runs().begin(), runs.runs().end(),
                                    [&](const RunSummary& run) { return run.id() == id; });
    EXPECT_NE(found, runs.runs().end()) << id;
    return found == runs.runs().end() ? RunSummary() : *found;
  }
  bool AwaitState(OrchestratorClient& client, const std::string& id, RunState state) {
    return AwaitTrue([&] { return Find(client, id).state() == state; });
  }

  TempDir dir_;
  std::string dataset_;
  std::unique_ptr<ChildProcess> service_;
};

TEST_F(OrchestratorTest, TwoClientsSeeEveryPointOnceAndFetchTheSameFiles) {
  const auto target = Target(1);
  StartService();
  OrchestratorClient client = Client();
  const std::string id = Submit(client, Request(*target));
  std::vector<uint32_t> early, late;
  const auto into = [](std::vector<uint32_t>& points) {
    return [&points](const RunProgress& progress) {
      for (const PointReport& point : progress.points()) {
        points.push_back(point.regatta().concurrency());
      }
    };
  };
  std::thread other([&] {
    OrchestratorClient own = Client();
    const auto run = own.Watch(id, into(early));
    EXPECT_TRUE(run.ok()) << run.status();
  });
  const auto run = client.Watch(id, into(late));
  other.join();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_DONE) << run->error();
  EXPECT_EQ(run->points_done(), 3u);
  EXPECT_EQ(run->points_planned(), 3u);
  EXPECT_EQ(run->completed_requests(), 48u);
  EXPECT_GT(run->best_output_tok_s(), 0);
  EXPECT_THAT(early, ::testing::ElementsAre(1, 2, 4));
  EXPECT_EQ(late, early);
  late.clear();
  ASSERT_TRUE(client.Watch(id, into(late)).ok());  // after the end
  EXPECT_EQ(late, early);

  const auto files = client.Fetch(id, dir_.File("fetched"));
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(LoadResults(dir_.File("fetched"))->points_size(), 3);
  for (const char* name : {"report.html", "pareto.svg", "summary.csv", "requests.jsonl"}) {
    EXPECT_TRUE(fs::exists(fs::path(dir_.File("fetched")) / name)) << name;
  }
  EXPECT_TRUE(client.Fetch(id, dir_.File("with/slash/")).ok());
  EXPECT_EQ(LoadResults(dir_.File("with/slash"))->points_size(), 3);
  EXPECT_EQ(client.Fetch(id, dir_.File("fetched")).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(OrchestratorTest, ARunThatIsCancelledLeavesNothingRunning) {
  const auto target = Target(50);
  StartService();
  OrchestratorClient client = Client();
  const std::string running = Submit(client, Request(*target));
  const std::string queued = Submit(client, Request(*target));
  ASSERT_TRUE(AwaitState(client, running, RUN_RUNNING)) << Log();
  ASSERT_TRUE(AwaitTrue([&] { return !ProcessesWith(dir_.File("state/runs")).empty(); }));
  EXPECT_EQ(Find(client, queued).state(), RUN_QUEUED) << "one run at a time per server";
  const auto second = client.Cancel(queued);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->state(), RUN_CANCELLED);
  const auto first = client.Cancel(running);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->state(), RUN_CANCELLED);
  EXPECT_THAT(ProcessesWith(dir_.File("state/runs")), ::testing::IsEmpty());
  EXPECT_EQ(client.Cancel(running).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Find(client, queued).started_utc(), "");
}

TEST_F(OrchestratorTest, AServerIsOneHoweverItIsSpelled) {
  const auto target = Target(50);
  StartService();
  OrchestratorClient client = Client();
  const std::string running = Submit(client, Request(*target));
  StartRunRequest again = Request(*target);
  const std::string port = target->address().substr(target->address().rfind(':'));
  again.set_flags(0, "--url=grpc://localhost" + port);
  const std::string waiting = Submit(client, again);
  ASSERT_TRUE(AwaitTrue([&] { return Find(client, running).points_planned() > 0; })) << Log();
  EXPECT_EQ(Find(client, waiting).state(), RUN_QUEUED);
  EXPECT_EQ(Find(client, waiting).server(), "127.0.0.1" + port);
  ASSERT_TRUE(client.Cancel(running).ok());
  EXPECT_TRUE(AwaitState(client, waiting, RUN_RUNNING)) << Log();
  ASSERT_TRUE(client.Cancel(waiting).ok());
}

TEST_F(OrchestratorTest, RunsOfDifferentTargetsDoNotWaitForOneAnother) {
  const auto slow = Target(50), fast = Target(0);
  StartService();
  OrchestratorClient client = Client();
  const std::string blocking = Submit(client, Request(*slow));
  ASSERT_TRUE(AwaitState(client, blocking, RUN_RUNNING)) << Log();
  const std::string id = Submit(client, Request(*fast));
  EXPECT_TRUE(AwaitState(client, id, RUN_DONE)) << Log();
  EXPECT_EQ(Find(client, blocking).state(), RUN_RUNNING);
  ASSERT_TRUE(client.Cancel(blocking).ok());
}

TEST_F(OrchestratorTest, AServiceThatIsKilledGoesOnWhereItWas) {
  const auto target = Target(10);
  StartService();
  std::string id, queued;
  {
    OrchestratorClient client = Client();
    id = Submit(client, Request(*target, "1,2,4,8"));
    queued = Submit(client, Request(*target, "8"));
    ASSERT_TRUE(AwaitTrue([&] { return Find(client, id).points_planned() > 0; })) << Log();
  }
  KillService();
  ASSERT_TRUE(AwaitTrue([&] { return ProcessesWith(dir_.File("state/runs")).empty(); }))
      << "its runs died with it";
  StartService();
  OrchestratorClient client = Client();
  ASSERT_TRUE(AwaitState(client, id, RUN_DONE)) << Log();
  ASSERT_TRUE(AwaitState(client, queued, RUN_DONE)) << Log();
  const RunSummary run = Find(client, id);
  EXPECT_EQ(run.restarts(), 1u);
  EXPECT_EQ(run.points_done(), 4u);
  EXPECT_EQ(run.completed_requests(), 64u);
  ASSERT_TRUE(client.Fetch(id, dir_.File("fetched")).ok());
  const auto sweep = LoadResults(dir_.File("fetched"));
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_TRUE(sweep->completed());
  EXPECT_EQ(sweep->journal().resumed(), 1u);
  const std::string lines = Contents(dir_.File("fetched/requests.jsonl"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 64);
}

TEST_F(OrchestratorTest, ARunWhoseProcessIsKilledGoesOnWhereItWas) {
  const auto target = Target(10);
  StartService();
  OrchestratorClient client = Client();
  const std::string id = Submit(client, Request(*target, "1,2,4,8"));
  ASSERT_TRUE(AwaitTrue([&] { return Find(client, id).points_done() > 0; })) << Log();
  ASSERT_TRUE(KillOneWith(dir_.File("state/runs/" + id)));
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_DONE) << run->error();
  EXPECT_EQ(run->restarts(), 1u);
  EXPECT_EQ(run->points_done(), 4u);
  EXPECT_EQ(run->completed_requests(), 64u);
}

TEST_F(OrchestratorTest, ARunWhoseProcessIsKilledAgainAndAgainFails) {
  const auto target = Target(50);
  StartService();
  OrchestratorClient client = Client();
  const std::string id = Submit(client, Request(*target));
  const std::string place = dir_.File("state/runs/" + id);
  std::atomic<bool> ended = false;
  std::thread killer([&] {
    while (!ended) {
      KillOneWith(place);
      absl::SleepFor(absl::Milliseconds(20));
    }
  });
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ended = true;
  killer.join();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_FAILED);
  EXPECT_EQ(run->restarts(), 3u);
  EXPECT_THAT(run->error(), HasSubstr("signal 9 (Killed), after it went on 3 times: "));
}

TEST_F(OrchestratorTest, AServiceThatIsAskedToEndLeavesItsRunsForLater) {
  const auto target = Target(10);
  StartService();
  std::string id;
  {
    OrchestratorClient client = Client();
    id = Submit(client, Request(*target, "1,2"));
    ASSERT_TRUE(AwaitState(client, id, RUN_RUNNING)) << Log();
  }
  service_->Terminate();
  EXPECT_EQ(Await(*service_), "exit code 0") << Log();
  EXPECT_THAT(ProcessesWith(dir_.File("state")), ::testing::IsEmpty());
  StartService();
  OrchestratorClient client = Client();
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_DONE) << run->error();
  EXPECT_EQ(run->completed_requests(), 32u);
}

TEST_F(OrchestratorTest, TwoRunsAreComparedPointByPoint) {
  const auto slow = Target(2), fast = Target(1);
  StartService();
  OrchestratorClient client = Client();
  const std::string first = Submit(client, Request(*slow, "1,2"));
  const std::string second = Submit(client, Request(*fast, "2,4"));
  ASSERT_TRUE(AwaitState(client, first, RUN_DONE)) << Log();
  ASSERT_TRUE(AwaitState(client, second, RUN_DONE)) << Log();
  CompareRunsRequest request;
  request.set_first(first);
  request.set_second(second);
  request.add_fail_if("output_throughput<-3%");
  const auto comparison = client.Compare(request);
  ASSERT_TRUE(comparison.ok()) << comparison.status();
  ASSERT_EQ(comparison->loads_size(), 1);
  EXPECT_EQ(comparison->loads(0).load(), "concurrency 2");
  EXPECT_EQ(comparison->b().path(), "run " + second);
  EXPECT_EQ(comparison->not_compared_size(), 2);
  for (const SideDifference& difference : comparison->differences()) {
    EXPECT_EQ(difference.what(), "client-bound loads");  // a busy machine's
  }
  ASSERT_EQ(comparison->gates_size(), 2);
  for (const GateFinding& gate : comparison->gates()) {
    EXPECT_EQ(gate.outcome(), GATE_NOT_JUDGED);  // of single runs, and of what only one measured
  }
  request.set_margin(2);
  EXPECT_EQ(client.Compare(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.clear_margin();
  request.set_second("77");
  EXPECT_EQ(client.Compare(request).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(OrchestratorTest, AFullQueueIsSaidSo) {
  const auto target = Target(50);
  StartService({"--max-queued", "2"});
  OrchestratorClient client = Client();
  const std::string running = Submit(client, Request(*target));
  ASSERT_TRUE(AwaitState(client, running, RUN_RUNNING)) << Log();
  Submit(client, Request(*target));
  Submit(client, Request(*target));
  const auto refused = client.Start(Request(*target));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--max-queued is 2"));
  ASSERT_TRUE(client.Cancel(running).ok());
}

TEST_F(OrchestratorTest, ARunThatFailsSaysWhy) {
  const auto target = Target(0);
  StartService();
  OrchestratorClient client = Client();
  StartRunRequest request = Request(*target);
  request.mutable_files(0)->set_content("{\"task_id\": 1, \"output_tokens\": 8}\n");
  const std::string id = Submit(client, request);
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_FAILED);
  EXPECT_EQ(run->error(), "exit code 2: dataset:1: neither 'prompt' nor 'input_ids' is given");
  EXPECT_EQ(client.Fetch(id, dir_.File("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(dir_.File("none")));
}

TEST_F(OrchestratorTest, ADataSetOfForeignBytesHidesNoRun) {
  const auto target = Target(0);
  StartService();
  OrchestratorClient client = Client();
  StartRunRequest request = Request(*target);
  request.mutable_files(0)->set_content(
      "{\"task_id\":0,\"input_ids\":[1,2],\"output_tokens\":4}\n{\"bad \xff\xfe\": \x80zz}\n");
  const std::string id = Submit(client, request);
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_FAILED);
  EXPECT_THAT(run->error(),
              ::testing::AllOf(HasSubstr("exit code 2: dataset:2"), HasSubstr("\xef\xbf\xbd")));
  const auto runs = client.List(0);
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->runs_size(), 1);
}

TEST_F(OrchestratorTest, BadCallsAreRefusedByName) {
  StartService();
  OrchestratorClient client = Client();
  StartRunRequest request;
  request.add_flags("--bin-dir=/tmp");
  EXPECT_EQ(client.Start(request).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client.Cancel("1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client.List(1001).status().code(), absl::StatusCode::kInvalidArgument);
  const auto none = client.Watch("../../etc", [](const RunProgress&) {});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  const auto stub =
      Orchestrator::NewStub(grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext endless;
  ListRunsResponse runs;
  const grpc::Status status = stub->List(&endless, ListRunsRequest(), &runs);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("deadline"));
  grpc::ClientContext large;
  SetDeadline(large, kPatience);
  StartRunRequest too_large;
  too_large.add_files()->mutable_content()->assign(size_t{66} << 20, 'x');
  RunSummary run;
  EXPECT_EQ(stub->Start(&large, too_large, &run).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(OrchestratorTest, AStateDirectoryAndAPortHaveOneService) {
  StartService();
  auto second = Launch({"orchestrator", "--listen", "127.0.0.1:0", "--state", dir_.File("state")},
                       "second.log");
  EXPECT_EQ(Await(*second), "exit code 2");
  EXPECT_THAT(Contents(dir_.File("second.log")), HasSubstr("another service works in"));
  auto third =
      Launch({"orchestrator", "--listen", Address(), "--state", dir_.File("other")}, "third.log");
  EXPECT_EQ(Await(*third), "exit code 1");
  EXPECT_THAT(Contents(dir_.File("third.log")), HasSubstr("cannot listen on"));
}

TEST_F(OrchestratorTest, EveryHopIsMutualTls) {
  const std::string certs = dir_.File("certs");
  ASSERT_TRUE(InitCertificates(certs, {DefaultCertificateHosts(), 1}).ok());
  const TlsOptions tls{certs + "/client.crt", certs + "/client.key", certs + "/ca.crt", false};
  const TlsOptions router{certs + "/router.crt", certs + "/router.key", certs + "/ca.crt", false};
  const auto target = Target(0, router);
  StartService({"--tls-cert", certs + "/orchestrator.crt", "--tls-key", certs + "/orchestrator.key",
                "--tls-ca", tls.ca});
  OrchestratorClient client = Client(tls);
  const std::string id = Submit(client, Request(*target));
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_DONE) << run->error();
  // Without a certificate, and in plaintext, nobody gets through.
  const TlsOptions anonymous{"", "", tls.ca, false};
  for (const TlsOptions& bad : {anonymous, TlsOptions()}) {
    const auto credentials = MakeChannelCredentials(bad, Address());
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    const auto stub = Orchestrator::NewStub(grpc::CreateChannel(Address(), *credentials));
    grpc::ClientContext context;
    SetDeadline(context, kPatience);
    ListRunsResponse runs;
    EXPECT_EQ(stub->List(&context, ListRunsRequest(), &runs).error_code(),
              grpc::StatusCode::UNAVAILABLE);
  }
}

TEST_F(OrchestratorTest, PlaintextOffLoopbackIsRefused) {
  auto service = Launch({"orchestrator", "--listen", "0.0.0.0:0", "--state", dir_.File("state")},
                        "service.log");
  EXPECT_EQ(Await(*service), "exit code 2");
  EXPECT_THAT(Log(), HasSubstr("is refused off loopback"));
}

TEST_F(OrchestratorTest, TheServicesKeyGoesToServersOfClientsOnlyWhereItMay) {
  const auto target = Target(50);
  ::setenv("OPENAI_API_KEY", "sk-of-the-service", 1);
  for (const bool may : {false, true}) {
    StartService(may ? std::vector<std::string>{"--send-api-key"} : std::vector<std::string>{});
    OrchestratorClient client = Client();
    const std::string id = Submit(client, Request(*target));
    const std::string place = absl::StrCat(dir_.File("state/runs/"), id);
    ASSERT_TRUE(
        AwaitTrue([&] { return EnvironmentsOf(place).find("PATH=") != std::string::npos; }));
    const bool has = EnvironmentsOf(place).find("sk-of-the-service") != std::string::npos;
    EXPECT_EQ(has, may);
    ASSERT_TRUE(client.Cancel(id).ok());
    KillService();
  }
  ::unsetenv("OPENAI_API_KEY");
}

TEST_F(OrchestratorTest, ARecommendationIsARunThatGoesOnToo) {
  const auto target = Target(5);
  StartService();
  OrchestratorClient client = Client();
  StartRunRequest request = Request(*target);
  request.set_command("recommend");
  request.mutable_flags()->RemoveLast();
  request.mutable_flags()->RemoveLast();
  for (const char* flag : {"--max-points=3", "--repeats=2", "--num-requests=16", "--warmup=0",
                           "--max-concurrency=4"}) {
    request.add_flags(flag);
  }
  const std::string id = Submit(client, request);
  ASSERT_TRUE(AwaitTrue([&] { return Find(client, id).points_done() > 0; })) << Log();
  ASSERT_TRUE(KillOneWith(dir_.File("state/runs/" + id)));
  const auto run = client.Watch(id, [](const RunProgress&) {});
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), RUN_DONE) << run->error();
  EXPECT_EQ(run->command(), "recommend");
  EXPECT_EQ(run->restarts(), 1u);
  ASSERT_TRUE(client.Fetch(id, dir_.File("fetched")).ok());
  EXPECT_TRUE(LoadResults(dir_.File("fetched"))->has_recommendation());
}

TEST_F(OrchestratorTest, TheCommandsOfAPersonWork) {
  const auto target = Target(0);
  StartService();
  const auto command = [&](std::vector<std::string> arguments) {
    fs::remove(dir_.File("command.log"));
    arguments.insert(arguments.end(), {"--service", Url()});
    auto child = Launch(arguments, "command.log");
    const std::string ended = Await(*child);
    return absl::StrCat(ended, "\n", Contents(dir_.File("command.log")));
  };
  const std::string url = absl::StrCat("grpc://", target->address());
  EXPECT_THAT(command({"submit", "--url", url, "--dataset", dir_.File("data.jsonl"),
                       "--concurrency", "1,2", "--num_requests", "16", "--label", "nightly"}),
              HasSubstr("exit code 0\n1\nrun 1 (sweep) is queued for grpc://"));
  EXPECT_THAT(command({"watch", "1"}),
              ::testing::AllOf(HasSubstr("exit code 0"), HasSubstr("concurrency 2: "),
                               HasSubstr("run 1 (sweep) done: 2/2 points, 32 requests, 0 failed"),
                               HasSubstr("`regatta fetch 1 --service " + Url() + "` brings")));
  EXPECT_THAT(command({"runs"}), ::testing::AllOf(HasSubstr("nightly"), HasSubstr("done")));
  EXPECT_THAT(command({"compare", "1", "1"}), HasSubstr("+0.00 %"));
  EXPECT_THAT(command({"fetch", "1", dir_.File("here")}), HasSubstr("6 files in "));
  EXPECT_THAT(command({"cancel", "1"}), HasSubstr("run 1 has ended already"));
  EXPECT_THAT(command({"submit", "recommend", "--url", url, "--dataset", dir_.File("data.jsonl"),
                       "--goal", "ttft", "--num-requests", "16"}),
              HasSubstr("run 2 (recommend) is queued for grpc://"));
  EXPECT_THAT(command({"runs"}), HasSubstr("recommend"));
  command({"cancel", "2"});
  EXPECT_THAT(command({"submit", "--concurrency", "1", "recommend", "--url", url}),
              HasSubstr("--concurrency: give flags of recommend behind `submit recommend`"));
  for (const char* of : {"sweep", "recommend", "partition"}) {
    const std::string help = command({"submit", of, "--help"});
    EXPECT_THAT(help, ::testing::AllOf(HasSubstr("exit code 0"), HasSubstr("--concurrency"),
                                       HasSubstr("--markdown"), HasSubstr("--tls-cert")));
    for (const char* refused : {"--output ", "--resume", "--run-dir", "--bin-dir", "--report-json",
                                "--export", "--dry-run", "--gpu "}) {
      EXPECT_THAT(help, ::testing::Not(HasSubstr(absl::StrCat("  ", refused)))) << of;
    }
  }
  EXPECT_THAT(command({"submit", "--url", url, "--output", "x"}),
              ::testing::AllOf(HasSubstr("exit code 2"), HasSubstr("--output: belongs to")));
}

}  // namespace
}  // namespace regatta
