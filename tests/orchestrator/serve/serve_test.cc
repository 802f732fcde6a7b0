// `regatta serve` as a user starts it: a bundled model on CPU ranks, until Ctrl-C.
#include "orchestrator/serve/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cluster/certificates.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/http/http_client.h"
#include "tests/testing/served_model.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::BundledModel;
using ::testing::HasSubstr;
using ::testing::Not;

// Processes whose environment holds `mark`.
std::set<pid_t> ProcessesMarked(const std::string& mark) {
  std::set<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid == 0 || pid == ::getpid()) continue;
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    const std::string environment{std::istreambuf_iterator<char>(file), {}};
    if (absl::StrContains(environment, mark)) pids.insert(pid);
  }
  return pids;
}

class ServeTest : public ::testing::Test {
 protected:
  void TearDown() override {
    child_.reset();
    EXPECT_TRUE(NothingLeft());
  }

  void Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {REGATTA_BIN_DIR "/regatta", "serve"});
    ::setenv("REGATTA_TEST_MARK", dir_.path().c_str(), 1);
    const auto before = ::signal(SIGINT, SIG_DFL);  // a test in the background may ignore it
    auto child = ChildProcess::Start("regatta", arguments, dir_.File("log"));
    ::signal(SIGINT, before);
    ::unsetenv("REGATTA_TEST_MARK");
    ASSERT_TRUE(child.ok()) << child.status();
    child_ = *std::move(child);
  }
  void StartModel(const std::vector<std::string>& more,
                  const std::string& model = BundledModel("regatta-dense")) {
    std::vector<std::string> arguments = {model,    "--device", "cpu",       "--threads",      "1",
                                          "--port", "0",        "--log-dir", dir_.File("logs")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Start(arguments);
    ASSERT_TRUE(AwaitLog("Ctrl-C drains and ends.")) << Log();
  }

  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(dir_.File("log")).rdbuf();
    return text.str();
  }
  bool AwaitLog(const std::string& text) {
    for (int i = 0; i < 1200; ++i) {
      if (absl::StrContains(Log(), text)) return true;
      if (child_->Ended().has_value()) return absl::StrContains(Log(), text);
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  }
  std::string AwaitEnd() {
    for (int i = 0; i < 1200; ++i) {
      if (const auto ended = child_->Ended(); ended.has_value()) return *ended;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return "still running";
  }
  // What PDEATHSIG ends needs a moment.
  bool NothingLeft() {
    for (int i = 0; i < 100; ++i) {
      if (ProcessesMarked(dir_.path()).empty()) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  }
  std::string FromLog(const char* pattern) const {
    std::smatch match;
    const std::string log = Log();
    return std::regex_search(log, match, std::regex(pattern)) ? match[1].str() : "";
  }
  // What the printed curl line, run by a shell, prints; curl tells the status after the body.
  std::string AskAsPrinted() {
    const std::string command = FromLog("Try:\\n  (curl [\\s\\S]*)\\n\\nCtrl-C");
    auto shell = ChildProcess::Start(
        "sh", {"/bin/sh", "-c", command + " -sS --noproxy '*' -w ' status %{http_code}'"},
        dir_.File("answer"));
    EXPECT_TRUE(shell.ok()) << shell.status();
    for (int i = 0; i < 1200 && !(*shell)->Ended().has_value(); ++i) {
      absl::SleepFor(absl::Milliseconds(50));
    }
    EXPECT_EQ((*shell)->Ended(), "exit code 0") << command;
    return (*shell)->LogTail(20);
  }
  // The status of a GET; 0 when nobody answers.
  unsigned Get(const std::string& path) {
    HttpCall call;
    call.url = *ParseHttpUrl(FromLog("on (http://[0-9.:]+)") + path);
    const auto answer = PerformHttp(call);
    return answer.ok() ? answer->status : 0;
  }
  std::shared_ptr<grpc::Channel> Dial() {
    auto channel = Connect(FromLog("grpc://([0-9.:]+)"), TlsOptions(), absl::Seconds(10));
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }

  // Long answers for that many clients, until they are told or a minute is over.
  std::thread KeepBusy(size_t clients) {
    return std::thread([channel = Dial(), clients] {
      std::vector<GenerateRequest> requests(clients, testing::GreedyRequest("1 + 1 ="));
      for (GenerateRequest& request : requests) {
        request.set_max_tokens(900);
        request.set_ignore_eos(true);
      }
      testing::GenerateAll(channel, requests, clients, absl::Seconds(60));
    });
  }
  // Kills the child of `regatta serve` that runs `program`.
  void KillChild(const std::string& program) {
    for (const pid_t pid : ProcessesMarked(dir_.path())) {
      std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
      const std::string stat{std::istreambuf_iterator<char>(file), {}};
      const std::string name =
          stat.substr(stat.find('(') + 1, stat.rfind(')') - stat.find('(') - 1);
      const std::string of_serve = absl::StrCat(" ", child_->pid(), " ");
      const bool child = absl::StartsWith(stat.substr(stat.rfind(')') + 3), of_serve);
      if (child && absl::StartsWith(program, name)) ::kill(pid, SIGKILL);
    }
  }

  TempDir dir_;
  std::unique_ptr<ChildProcess> child_;
};

TEST_F(ServeTest, ServesTillCtrlCAndLeavesNothing) {
  dir_.Write(
      "options.yml",
      "cuda_graph_config:\n  max_batch_size: 16\n  padding_enabled: true\nprint_iter_log: true\n");
  StartModel({"--tp_size", "2", "--max_batch_size", "16", "--max_num_tokens", "512",
              "--extra_llm_api_options", dir_.File("options.yml"), "--backend", "pytorch",
              "--log_level", "info", "--max_beam_width", "1", "--enable_chunked_prefill",
              "--tokenizer", BundledModel("regatta-dense")});
  const std::string log = Log();
  EXPECT_THAT(log, HasSubstr("Starting 2 workers and a router (tp2); logs in " + dir_.path()));
  // Stages that end between two looks are not shown; the first always is.
  EXPECT_THAT(log, ::testing::ContainsRegex("start +done +[0-9.]+ m?s"));
  EXPECT_THAT(log, HasSubstr("options.yml: 'print_iter_log' is TensorRT-LLM's"));
  for (const char* flag :
       {"--log-level", "--max-beam-width", "--enable-chunked-prefill", "--tokenizer"}) {
    EXPECT_THAT(log, HasSubstr(absl::StrCat("! ", flag, " is trtllm-serve's and has no effect")));
  }
  EXPECT_THAT(log, HasSubstr("Serving regatta-dense on http://127.0.0.1:"));
  EXPECT_THAT(log, HasSubstr("layout   tp2 on 2 x CPU rank, float32"));
  EXPECT_THAT(log, HasSubstr("limits   16 sequences and 512 tokens a step"));
  {
    const auto cluster = DescribeCluster(Dial(), absl::Seconds(10));
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    EXPECT_EQ(cluster->limits().max_batch_size(), 16u);
  }
  for (const char* path : {"/health", "/ready", "/live", "/v1/models"}) EXPECT_EQ(Get(path), 200u);
  ::kill(child_->pid(), SIGINT);
  EXPECT_EQ(AwaitEnd(), "exit code 0") << Log();
  EXPECT_TRUE(NothingLeft());
  EXPECT_EQ(Get("/health"), 0u) << "nobody listens any more";
}

TEST_F(ServeTest, TheCurlLineIsAnswered) {
  const std::string model = dir_.File("model");  // the bundled one, less its chat template
  fs::copy(BundledModel("regatta-dense"), model);
  std::ifstream original(fs::path(model) / "tokenizer_config.json");
  nlohmann::json config = nlohmann::json::parse(original);
  config.erase("chat_template");
  dir_.Write("model/tokenizer_config.json", config.dump());
  dir_.Write("keys", "# of the test\nme:secret-1\n");
  StartModel({"--served-model-name", "tiny", "--api-key-file", dir_.File("keys")}, model);
  EXPECT_THAT(Log(), HasSubstr("/v1/completions"));
  const std::string answer = AskAsPrinted();
  EXPECT_THAT(answer, HasSubstr("\"model\":\"tiny\""));
  EXPECT_THAT(answer, HasSubstr("\"choices\""));
  EXPECT_THAT(answer, HasSubstr(" status 200"));
}

TEST_F(ServeTest, TheCurlLineKnowsCertificateKeyAndChats) {
  CertificateOptions certificates;
  certificates.hosts = {"127.0.0.1"};
  ASSERT_TRUE(InitCertificates(dir_.File("certs"), certificates).ok());
  dir_.Write("the keys", "# of this test\n\nsomebody: secret-1\nother:secret-2\n");
  StartModel({"--http-tls-cert", dir_.File("certs/router.crt"), "--http-tls-key",
              dir_.File("certs/router.key"), "--api-key-file", dir_.File("the keys")});
  EXPECT_THAT(Log(), AllOf(HasSubstr("/v1/chat/completions"), HasSubstr("--cacert")));
  const std::string answer = AskAsPrinted();
  EXPECT_THAT(answer, HasSubstr("\"object\":\"chat.completion\""));
  EXPECT_THAT(answer, HasSubstr(" status 200"));
}

TEST_F(ServeTest, ADeadWorkerIsReplaced) {
  StartModel({"--tp", "2"});
  const auto channel = Dial();
  const auto before = DescribeCluster(channel, absl::Seconds(10));
  ASSERT_TRUE(before.ok()) << before.status();
  ::kill(before->workers(1).description().pid(), SIGKILL);
  ASSERT_TRUE(AwaitLog("! 0 of 1 copy of the model running")) << Log();
  ASSERT_TRUE(AwaitLog("  1 of 1 copy of the model running")) << Log();
  EXPECT_THAT(FromLog("The router: ([^\n]*)"), HasSubstr("is fenced: "));
  const auto after = DescribeCluster(channel, absl::Seconds(10));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_NE(after->workers(1).description().pid(), before->workers(1).description().pid());
  ::kill(child_->pid(), SIGTERM);
  EXPECT_EQ(AwaitEnd(), "exit code 0") << Log();
}

TEST_F(ServeTest, ADeadRouterEndsItWithItsLastWords) {
  StartModel({});
  KillChild("regatta-router");
  EXPECT_EQ(AwaitEnd(), "exit code 1") << Log();
  EXPECT_THAT(Log(), HasSubstr("router ended with signal 9"));
}

TEST_F(ServeTest, ADeadSupervisorEndsItAtOnceThoughClientsWait) {
  StartModel({"--drain-timeout", "60"});
  std::thread load = KeepBusy(4);
  absl::SleepFor(absl::Milliseconds(300));
  const absl::Time start = absl::Now();
  KillChild("regatta-worker");
  EXPECT_TRUE(AwaitLog("regatta: workers ended with signal 9")) << Log();
  EXPECT_LT(absl::Now() - start, absl::Seconds(2)) << "it says so before it ends what is left";
  EXPECT_EQ(AwaitEnd(), "exit code 1") << Log();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10)) << "nothing is left to drain";
  load.join();
}

TEST_F(ServeTest, ASecondCtrlCEndsAtOnce) {
  StartModel({"--drain-timeout", "60"});
  std::thread load = KeepBusy(400);
  absl::SleepFor(absl::Seconds(1));
  ::kill(child_->pid(), SIGINT);
  EXPECT_TRUE(AwaitLog("Draining"));
  absl::SleepFor(absl::Milliseconds(500));
  EXPECT_FALSE(child_->Ended().has_value()) << "still draining";
  ::kill(child_->pid(), SIGINT);
  EXPECT_THAT(AwaitEnd(), HasSubstr("signal 2"));
  EXPECT_TRUE(NothingLeft());
  load.join();
}

TEST_F(ServeTest, CtrlCWhileStartingEndsItToo) {
  dir_.Write("regatta-worker", "#!/bin/bash\nexec sleep 1000\n");
  fs::permissions(dir_.File("regatta-worker"), fs::perms::owner_all);
  Start(
      {BundledModel("regatta-dense"), "--device", "cpu", "--port", "0", "--bin-dir", dir_.path()});
  ASSERT_TRUE(AwaitLog("Starting 1 worker and a router (tp1)")) << Log();
  absl::SleepFor(absl::Milliseconds(300));
  const std::string logs = FromLog("logs in (\\S+)");
  EXPECT_TRUE(fs::exists(logs)) << logs;
  ::kill(child_->pid(), SIGINT);
  EXPECT_EQ(AwaitEnd(), "exit code 0") << Log();
  EXPECT_THAT(Log(), HasSubstr("Ended before it served."));
  EXPECT_FALSE(fs::exists(logs)) << "nothing went wrong";
}

// Before it has told people so: who waits for /ready may be faster.
TEST_F(ServeTest, CtrlCAsSoonAsItIsReadyEndsIt) {
  Start({BundledModel("regatta-dense"), "--device", "cpu", "--threads", "1", "--port", "0",
         "--log-dir", dir_.File("logs")});
  ASSERT_TRUE(AwaitLog("logs in ")) << Log();
  const std::string address_file = FromLog("logs in (\\S+)") + "/http.address";
  HttpCall call;
  for (int i = 0; i < 6000; ++i) {
    absl::SleepFor(absl::Milliseconds(5));
    std::string address;
    if (!std::getline(std::ifstream(address_file), address)) continue;
    call.url = *ParseHttpUrl("http://" + address + "/ready");
    const auto answer = PerformHttp(call);
    if (answer.ok() && answer->status == 200) break;
  }
  ::kill(child_->pid(), SIGINT);
  EXPECT_EQ(AwaitEnd(), "exit code 0") << Log();
}

// Kept open, so that it is answered while new connections are refused.
TEST_F(ServeTest, ItIsNotReadyFromCtrlCOn) {
  StartModel({"--drain-timeout", "60", "--http-max-connections", "9", "--max-queue-size", "500"});
  std::thread load = KeepBusy(64);
  absl::SleepFor(absl::Seconds(1));
  EXPECT_EQ(Get("/ready"), 200u);
  ::kill(child_->pid(), SIGINT);
  const absl::Time signal = absl::Now();
  absl::Time last_ready = signal;
  while (absl::Now() - signal < absl::Seconds(2) && !child_->Ended().has_value()) {
    if (Get("/ready") == 200) last_ready = absl::Now();
  }
  EXPECT_LT(last_ready - signal, absl::Milliseconds(500));
  ::kill(child_->pid(), SIGINT);
  EXPECT_THAT(AwaitEnd(), ::testing::AnyOf(HasSubstr("signal 2"), "exit code 0"));
  load.join();
}

TEST_F(ServeTest, APortInUseIsNamedWithItsFlag) {
  const int taken = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken, 1), 0);
  ASSERT_EQ(::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = absl::StrCat(ntohs(address.sin_port));
  Start({BundledModel("regatta-dense"), "--device", "cpu", "--port", port, "--log-dir",
         dir_.File("logs")});
  EXPECT_EQ(AwaitEnd(), "exit code 1");
  EXPECT_THAT(Log(), HasSubstr("--port: another program listens on 127.0.0.1:" + port));
  EXPECT_THAT(Log(), Not(HasSubstr("Starting"))) << "nothing is loaded in vain";
  ::close(taken);
}

TEST_F(ServeTest, BadInputIsRefused) {
  const auto expect_refusal = [&](const std::vector<std::string>& arguments, const char* message) {
    Start(arguments);
    EXPECT_EQ(AwaitEnd(), "exit code 2");
    EXPECT_THAT(Log(), HasSubstr(message));
  };
  expect_refusal({"/nonexistent", "--port", "0"}, "/nonexistent");
  expect_refusal({BundledModel("regatta-dense"), "--port", "0", "--tp", "3"}, "3");
  expect_refusal({BundledModel("regatta-dense"), "--gpu-memory-utilization", "0.9"},
                 "give --kv-cache-free-gpu-mem-fraction");
  expect_refusal({BundledModel("regatta-dense"), "--http-tls-cert", "/etc/hostname"},
                 "--http-tls-key");
  expect_refusal({BundledModel("regatta-dense"), "--prot", "1"}, "Did you mean --port?");
  expect_refusal({BundledModel("regatta-dense"), "--api-key", "secret"}, "give --api-key-file");
  expect_refusal({BundledModel("regatta-dense"), "--max_beam_width", "4"},
                 "--max-beam-width '4': there is no beam search; give 1");
  expect_refusal({BundledModel("regatta-dense"), "--reasoning_parser", "qwen3"},
                 "--reasoning-parser 'qwen3': answers come as the model writes them");
  expect_refusal({BundledModel("regatta-dense"), "--tokenizer", "other"},
                 "--tokenizer: 'other' is not the model's own");
  expect_refusal({BundledModel("regatta-dense"), "--grpc"}, "its protocol is not spoken");
  expect_refusal({BundledModel("regatta-dense"), "--log_level"}, "--log-level: the value is empty");
  expect_refusal({BundledModel("regatta-dense"), "--port", "0", "--host", "192.0.2.1"},
                 "--host: '192.0.2.1' is no address of this machine");
  expect_refusal({BundledModel("regatta-dense"), "--port", "0", "--host", "a.invalid"},
                 "--host: 'a.invalid' is unknown");
}

TEST_F(ServeTest, AModelThatLacksFilesIsRefusedByName) {
  const auto serve_without = [&](const char* missing) {
    TempDir model;
    for (const auto& file : fs::directory_iterator(BundledModel("regatta-dense"))) {
      const std::string name = file.path().filename();
      if (name != missing) fs::create_symlink(file.path(), model.File(name));
    }
    Start({model.path(), "--device", "cpu", "--port", "0", "--log-dir", dir_.File("logs")});
    EXPECT_EQ(AwaitEnd(), "exit code 2") << Log();
    EXPECT_THAT(Log(), HasSubstr(missing));
  };
  serve_without("config.json");
  serve_without("tokenizer.json");
  serve_without("model.safetensors");
}

}  // namespace
}  // namespace regatta
