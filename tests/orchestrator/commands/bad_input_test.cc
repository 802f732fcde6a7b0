// What people give to `regatta` and it must refuse before anything is started: each case is a
// command line, what stderr says of it and the exit code.
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/model_spec.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/openai/null_http_server.h"
#include "proto/cluster.grpc.pb.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Bundled(const std::string& name) {
  return absl::StrCat(REGATTA_SOURCE_DIR, "/tests/models/", name);
}

class BadInputTest : public ::testing::Test {
 protected:
  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(dir_.File("log")).rdbuf();
    return text.str();
  }
  // Runs to the end, at most a minute.
  std::string Run(std::vector<std::string> arguments) {
    fs::remove(dir_.File("log"));
    arguments.insert(arguments.begin(), REGATTA_BIN_DIR "/regatta");
    const auto child = ChildProcess::Start("regatta", arguments, dir_.File("log"));
    EXPECT_TRUE(child.ok()) << child.status();
    for (int i = 0; i < 6000; ++i) {
      if (const auto ended = (*child)->Ended(); ended.has_value()) return *ended;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return "still running";
  }
  // Refused with 2, in one line that begins with the cause, and nothing was started for it.
  void ExpectRefusal(const std::vector<std::string>& arguments, const std::string& message) {
    EXPECT_EQ(Run(arguments), "exit code 2") << Log();
    EXPECT_THAT(Log(), HasSubstr(message));
    EXPECT_THAT(Log(), Not(HasSubstr("Starting "))) << message;
    EXPECT_THAT(Log(), Not(HasSubstr("json.exception"))) << message;
    EXPECT_FALSE(fs::exists(dir_.File("results"))) << message;
  }
  // The bundled model, linked file by file so that one can be replaced.
  std::string LinkedModel(const std::string& name, const std::string& bundled = "regatta-dense") {
    const std::string model = dir_.File(name);
    fs::create_directories(model);
    for (const auto& file : fs::directory_iterator(Bundled(bundled))) {
      fs::create_symlink(file.path(), fs::path(model) / file.path().filename());
    }
    return model;
  }
  void Replace(const std::string& model, const std::string& file, const std::string& bytes) {
    fs::remove(fs::path(model) / file);
    std::ofstream(fs::path(model) / file, std::ios::binary) << bytes;
  }
  std::string WriteLines(const std::string& name, const std::string& lines) {
    dir_.Write(name, lines);
    return dir_.File(name);
  }
  std::vector<std::string> Sweep(const std::string& model, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"sweep",    "--model",           model, "--device", "cpu",
                                          "--output", dir_.File("results")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  const TempDir dir_;
};

struct BrokenFile {
  const char* name;     // of the case
  const char* file;     // of the model
  std::string bytes;    // "-" = the file is not there
  std::string message;  // in the refusal
};

std::vector<BrokenFile> BrokenFiles() {
  const std::string one = Safetensors({{"lm_head.weight", "F32", {2}, std::string(8, '\0')}});
  const std::string overlapping =
      RawSafetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                     R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                     std::string(12, '\0'));
  const std::string again = "; copy the file again from where the model came from";
  return {
      {"truncated", "model.safetensors", one.substr(0, one.size() - 4),
       "model.safetensors is truncated: tensors need 8 bytes, 4 are there" + again},
      {"oversized", "model.safetensors", one + "more",
       "has 4 bytes behind its last tensor" + again},
      {"overlapping", "model.safetensors", overlapping, "the tensor before it ends at 8" + again},
      {"empty", "model.safetensors", "", "is truncated: 0 bytes hold no header" + again},
      {"html", "model.safetensors", "<html>Not found</html>", "has a header of"},
      {"lacking", "model.safetensors", one, "lacks "},
      {"absent", "model.safetensors", "-", "has no model.safetensors"},
      {"configless", "config.json", "-", "config.json: No such file or directory; copy what"},
      {"yaml", "config.json", "{\n  hidden: 1\n}", "config.json is not valid JSON at line 2, "},
      {"listed", "config.json", "[1]", "config.json holds array; expected an object"},
      {"foreign", "config.json", R"({"architectures": ["GPT2LMHeadModel"]})",
       "config.json: architecture GPT2LMHeadModel is not supported; known: LlamaForCausalLM"},
      {"tokenizer", "tokenizer.json", "{\"model\": ", "tokenizer.json: not valid JSON at line 1, "},
  };
}

TEST_F(BadInputTest, BrokenModelsAreToldBeforeAnythingStarts) {
  for (const BrokenFile& broken : BrokenFiles()) {
    SCOPED_TRACE(broken.name);
    const std::string model = LinkedModel(broken.name);
    if (broken.bytes == "-") {
      fs::remove(fs::path(model) / broken.file);
    } else {
      Replace(model, broken.file, broken.bytes);
    }
    ExpectRefusal(Sweep(model), broken.message);
  }
}

TEST_F(BadInputTest, WhatIsServedAsTextNeedsATokenizerAndATemplateThatParses) {
  const std::string model = LinkedModel("text");
  const std::vector<std::string> serve = {"serve", model, "--port", "0", "--device", "cpu"};
  Replace(model, "tokenizer_config.json", "{\"chat_template\": \"{% if %}\"}");
  ExpectRefusal(serve, "/tokenizer_config.json, chat_template: line 1, column 9: expected an");
  Replace(model, "tokenizer_config.json", "{,}");
  ExpectRefusal(serve, "/tokenizer_config.json: not valid JSON at line 1, column 2");
  fs::remove(fs::path(model) / "tokenizer.json");
  ExpectRefusal(serve, "has no tokenizer.json: an API of text needs one");
}

TEST_F(BadInputTest, KeysAndCertificatesThatAreNoneAreToldBeforeTheLaunch) {
  dir_.Write("empty", "");
  const std::string empty = dir_.File("empty");
  const std::vector<std::string> serve = {
      "serve", Bundled("regatta-dense"), "--port", "0", "--device", "cpu"};
  const auto with = [&serve](std::vector<std::string> more) {
    more.insert(more.begin(), serve.begin(), serve.end());
    return more;
  };
  ExpectRefusal(with({"--api-key-file", empty}), "--api-key-file: '" + empty + "' has no key");
  ExpectRefusal(with({"--http-tls-cert", empty, "--http-tls-key", empty}),
                "--http-tls-cert: '" + empty + "': ");
}

TEST_F(BadInputTest, EveryCommandThatLaunchesChecksTheModel) {
  const std::string model = LinkedModel("cut_short");  // an underscore, also within flags of a side
  Replace(model, "model.safetensors", "short");
  const std::string cause = "model.safetensors is truncated: 5 bytes hold no header";
  const std::string out = dir_.File("results");
  ExpectRefusal({"serve", model, "--port", "0", "--device", "cpu"}, cause);
  ExpectRefusal({"throughput", "--model", model, "--output", out}, cause);
  ExpectRefusal({"recommend", "--model", model, "--device", "cpu", "--output", out}, cause);
  ExpectRefusal({"partition", "--model", model, "--gpus", "1", "--device", "cpu", "--output", out,
                 "--concurrency", "1"},
                cause);
  ExpectRefusal(
      {"compare", "--a", absl::StrCat("--model ", Bundled("regatta-dense")), "--b",
       absl::StrCat("--model ", model), "--device", "cpu", "--concurrency", "1", "--output", out},
      cause);
}

TEST_F(BadInputTest, ModelsOfTheHubsCacheSayHowToPullThem) {
  const std::string snapshot = "models--org--name/snapshots/" + std::string(40, 'a');
  const std::string model = LinkedModel(snapshot);
  fs::remove(fs::path(model) / "model.safetensors");
  ExpectRefusal(Sweep(model), "; `regatta pull org/name` fetches what is missing");
  Replace(model, "model.safetensors", "short");
  ExpectRefusal(Sweep(model), "remove the file and what it links to, then `regatta pull org/name`");
}

TEST_F(BadInputTest, ShardsThatTheIndexNamesMustBeThere) {
  const std::string model = LinkedModel("sharded");
  fs::remove(fs::path(model) / "model.safetensors");
  Replace(model, "model.safetensors.index.json",
          R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})");
  Replace(model, "model-1.safetensors", Safetensors({{"a", "F32", {1}, std::string(4, '\0')}}));
  ExpectRefusal(Sweep(model), "lacks 1 of 2 shards: model-2.safetensors; copy what is missing");
}

TEST_F(BadInputTest, ShapesOfAnotherModelAreNamed) {
  const std::string model = LinkedModel("mixed");
  fs::remove(fs::path(model) / "model.safetensors");
  fs::create_symlink(fs::path(Bundled("regatta-moe")) / "model.safetensors",
                     fs::path(model) / "model.safetensors");
  ExpectRefusal(Sweep(model), "; copy ");
}

TEST_F(BadInputTest, TextNeedsTheModelsTokenizer) {
  const std::string model = LinkedModel("mute");
  fs::remove(fs::path(model) / "tokenizer.json");
  const std::string data = WriteLines("text.jsonl",
                                      "{\"input_ids\": [5], \"output_tokens\": 3}\n"
                                      "{\"prompt\": \"Hi\", \"output_tokens\": 3}\n");
  ExpectRefusal(Sweep(model, {"--dataset", data}),
                "text.jsonl:2: a prompt of text, and " + model + " has no tokenizer.json; copy");
}

TEST_F(BadInputTest, LinesThatAreTooLongAreToldBeforeTheLaunch) {
  const std::string good = "{\"input_ids\": [5, 6], \"output_tokens\": 3}\n";
  const std::string data =
      WriteLines("long.jsonl", good + good + "{\"input_ids\": [5], \"output_tokens\": 99999}\n" +
                                   good + "{\"input_ids\": [5], \"output_tokens\": 99998}\n");
  const std::string model = Bundled("regatta-dense");
  ExpectRefusal(Sweep(model, {"--dataset", data}),
                "long.jsonl:3: 1 tokens in and 99999 out are 100000, over ");
  ExpectRefusal(Sweep(model, {"--dataset", data}), "; so are 2 of 5 lines: shorten them");
  ExpectRefusal(Sweep(model, {"--dataset", WriteLines("good.jsonl", good), "--max-seq-len", "4"}),
                "good.jsonl:1: 2 tokens in and 3 out are 5, over 4, --max-seq-len; so are 1 of 1 "
                "lines: raise it, to at most ");
  ExpectRefusal(Sweep(model, {"--max-seq-len", "100"}),
                "synthetic 128/128: task_id 0: 128 tokens in and 128 out are 256, over 100, ");
  ExpectRefusal(Sweep(model, {"--max-seq-len", "1000000"}), "is over the context of regatta-dense");
  dir_.Write("whole.yaml", "enable_chunked_prefill: false\nmax_num_tokens: 100\n");
  ExpectRefusal(Sweep(model, {"--config", dir_.File("whole.yaml")}),
                "128 tokens in are over 100, max_num_tokens, and prompts are not cut into chunks");
}

TEST_F(BadInputTest, ModelsWithoutExpertsSayThatTheyHaveNone) {
  const std::string model = Bundled("regatta-dense");
  const std::string message =
      "ep 2: LlamaForCausalLM has no experts to spread; regatta-dense takes";
  ExpectRefusal(Sweep(model, {"--ep", "2"}), message);
  ExpectRefusal({"plan", "--model", model, "--ep", "2"}, message);
  ExpectRefusal({"serve", model, "--ep", "2", "--tp", "2", "--port", "0"}, message);
}

TEST_F(BadInputTest, RunsThatAreNotThereNameTheNearest) {
  ExpectRefusal({"report", dir_.File("none")}, "a run is a directory with a results.json");
  const std::string run = "20261122T180000Z-regatta-dense-tp2";
  fs::create_directories(dir_.File(run));
  ExpectRefusal({"report", dir_.File(run)}, "/results.json': No such file or directory; ");
  dir_.Write(run + "/results.json", "{\n\"schema\": ,}");
  ExpectRefusal({"report", dir_.File("20261122T180000Z-regatta-dense-tp4")},
                absl::StrCat("; did you mean '", dir_.File(run), "'? `ls ", dir_.path()));
  ExpectRefusal({"report", dir_.path()}, absl::StrCat("the newest run is '", dir_.File(run)));
  ExpectRefusal({"report", dir_.File(run)}, "results.json: not valid JSON at line 2, column 11");
  dir_.Write(run + "/results.json", "{\"points\": 5}");
  ExpectRefusal({"report", dir_.File(run)}, "results.json: not a result file: ");
}

// The same number is refused in the same words by a flag and by the configuration file.
TEST_F(BadInputTest, NumbersOfFlagsAndOfTheConfigurationAreRefusedAlike) {
  struct Number {
    const char* flag;
    const char* key;
    const char* range;
  };
  for (const Number& number : {Number{"--tp", "tensor_parallel_size", "1 to 65536"},
                               Number{"--max-batch-size", "max_batch_size", "1 to 1048576"},
                               Number{"--max-seq-len", "max_seq_len", "1 to 16777216"},
                               Number{"--kv-cache-free-gpu-mem-fraction",
                                      "kv_cache_config.free_gpu_memory_fraction", "1e-06 to 1"}}) {
    for (const char* value : {"0", "nan"}) {
      const bool is_number = std::string(value).find_first_of("0123456789") != std::string::npos;
      const bool whole = std::string(number.range).find('e') == std::string::npos;
      const std::string problem = is_number
                                      ? absl::StrCat(value, " is outside ", number.range)
                                      : absl::StrCat("'", value, "' is no ", whole ? "whole " : "",
                                                     "number; expected ", number.range);
      ExpectRefusal(Sweep(Bundled("regatta-dense"), {number.flag, value}),
                    absl::StrCat(number.flag, ": ", problem));
      const std::vector<std::string> path = absl::StrSplit(number.key, '.');
      const std::string yaml = path.size() == 1
                                   ? absl::StrCat(path[0], ": ", value)
                                   : absl::StrCat(path[0], ": {", path[1], ": ", value, "}");
      ExpectRefusal(
          Sweep(Bundled("regatta-dense"), {"--config", WriteLines("bad.yml", yaml + "\n")}),
          absl::StrCat("bad.yml: line 1: '", number.key, "': ", problem));
    }
  }
}

// Of a router that serves what `description` says.
class DescribedCluster final : public Cluster::Service {
 public:
  grpc::Status Describe(grpc::ServerContext*, const ClusterDescribeRequest*,
                        ClusterDescription* description) override {
    *description = description_;
    return grpc::Status::OK;
  }
  ClusterDescription description_;
};

TEST_F(BadInputTest, ARouterThatServesAnotherModelIsNamedWithIt) {
  DescribedCluster cluster;
  cluster.description_.set_model_name("regatta\x1b[31m-dense");
  cluster.description_.set_architecture("LlamaForCausalLM");
  cluster.description_.set_vocab_size(1024);
  cluster.description_.add_groups()->set_state("running");
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&cluster);
  const auto server = builder.BuildAndStart();
  ASSERT_GT(port, 0);
  const auto sweep = [&](const std::string& model, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"sweep",
                                          "--url",
                                          absl::StrCat("grpc://127.0.0.1:", port),
                                          "--model",
                                          Bundled(model),
                                          "--output",
                                          dir_.File("results")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  ExpectRefusal(sweep("regatta-moe", {}), "--model: regatta-moe (MixtralForCausalLM, ");
  EXPECT_THAT(Log(), HasSubstr("is not what the router at --url serves: regatta\xef\xbf\xbd[31m-"
                               "dense (LlamaForCausalLM, "));
  EXPECT_THAT(Log(), Not(HasSubstr("\x1b")));
  const auto dense = LoadModelSpec(Bundled("regatta-dense"));
  ASSERT_TRUE(dense.ok()) << dense.status();
  cluster.description_.set_parameters(dense->NumParameters());
  ExpectRefusal(sweep("regatta-dense", {"--eos-id", "1024"}),
                "--eos-id: 1024 is outside -1 to 1023, the vocabulary of regatta");
  EXPECT_THAT(Log(), HasSubstr("! --model is regatta-dense, the router calls what it serves "));
}

struct BadCommand {
  std::vector<std::string> arguments;
  std::string message;
};

// A server behind HTTP may be starting still: it is waited for, aloud.
TEST_F(BadInputTest, AServerThatIsNotThereIsWaitedForAloud) {
  const std::string data = WriteLines("data.jsonl", "{\"prompt\":\"x\",\"output_tokens\":4}\n");
  const auto sweep = [&](const std::string& url, const std::string& seconds) {
    return Run({"sweep", "--dataset", data, "--concurrency", "1", "--num-requests", "1", "--url",
                url, "--launch-timeout", seconds, "--output", dir_.File("results")});
  };
  EXPECT_EQ(sweep("http://127.0.0.1:1", "2"), "exit code 1");
  EXPECT_THAT(Log(), HasSubstr("waiting for http://127.0.0.1:1/, up to 2s (--launch-timeout): "
                               "127.0.0.1:1: connecting: Connection refused\n"));
  EXPECT_THAT(Log(), HasSubstr("regatta: http://127.0.0.1:1/ has not served within 2s "));
  EXPECT_THAT(Log(), HasSubstr("Connection refused; is it running"));

  const int mute = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // accepts, never answers
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(mute, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(mute, 8), 0);
  ::getsockname(mute, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string url = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
  EXPECT_EQ(sweep(url, "3"), "exit code 1");
  EXPECT_THAT(Log(), HasSubstr("has not served within 3s (--launch-timeout): "));
  EXPECT_THAT(Log(), HasSubstr("awaiting an answer: nothing within 3s; is it running"));
  ::close(mute);
}

// A wrong port or scheme is told in seconds, as no --launch-timeout asked to wait.
TEST_F(BadInputTest, AWrongPortIsToldSoon) {
  const std::string data = WriteLines("data.jsonl", "{\"prompt\":\"x\",\"output_tokens\":4}\n");
  const auto sweep = [&](const std::string& url, const char* end = "exit code 1") {
    const absl::Time begun = absl::Now();
    EXPECT_EQ(Run({"sweep", "--dataset", data, "--concurrency", "1", "--url", url, "--output",
                   dir_.File("results")}),
              end);
    EXPECT_LT(absl::Now() - begun, absl::Seconds(30));
    return Log();
  };
  EXPECT_THAT(sweep("http://127.0.0.1:1"),
              AllOf(HasSubstr("has not served within 10s: "), HasSubstr("Connection refused"),
                    HasSubstr("is waited for with --launch-timeout SECONDS")));
  const auto http = NullHttpServer::Start("127.0.0.1:0", NullTiming());
  ASSERT_TRUE(http.ok()) << http.status();
  EXPECT_THAT(sweep("grpc://" + (*http)->address()),
              AllOf(HasSubstr("answers in HTTP, not in gRPC: give http://" + (*http)->address()),
                    Not(HasSubstr("--tls-cert"))));
  const auto grpc = NullServer::Start("127.0.0.1:0", NullTiming(), TlsOptions());
  ASSERT_TRUE(grpc.ok()) << grpc.status();
  const absl::Time begun = absl::Now();
  EXPECT_THAT(sweep("http://" + (*grpc)->address(), "exit code 2"),
              HasSubstr("given as grpc://" + (*grpc)->address()));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(8)) << "it is known at once";
}

TEST_F(BadInputTest, EveryCommandSaysWhatIsWrong) {
  const std::string model = Bundled("regatta-dense");
  dir_.Write("open.yml", "a: [1");
  dir_.Write("zero.yml", std::string("a\0", 2));
  dir_.Write("utf16.yml", "\xff\xfe");
  dir_.Write("open.jsonl", "{\"prompt\": \n");
  const std::string data = dir_.File("open.jsonl"), dir = dir_.path();
  const std::vector<BadCommand> commands = {
      {{"sweeep"}, "There is no command sweeep\nDid you mean sweep?"},
      {Sweep(""), "--model: the value is empty; give one, or leave the flag out"},
      {Sweep(model, {"--concurrency", ""}), "--concurrency: the value is empty"},
      {Sweep(model, {"--dtype", "int3"}), "dtype is 'int3'; known: auto, float32"},
      {Sweep(model, {"--kv-cache-dtype", "int3"}), "kv_cache_config.dtype is 'int3'; known: auto"},
      {Sweep(model, {"--quantization", "int3"}), "quantization int3 is not known"},
      {Sweep(model, {"--config", dir}), "': it is a directory"},
      {Sweep(model, {"--config", dir_.File("none.yml")}), "none.yml': No such file or directory"},
      {Sweep(model, {"--config", dir_.File("open.yml")}), "open.yml: not valid YAML at line 1, "},
      {Sweep(model, {"--config", dir_.File("zero.yml")}), "it holds bytes of zero"},
      {Sweep(model, {"--config", dir_.File("utf16.yml")}), "utf16.yml: not valid YAML: its bytes"},
      {Sweep(model, {"--eos_id", "5000"}),
       "--eos-id: 5000 is outside -1 to 1023, the vocabulary of regatta-dense"},
      {Sweep(model, {"--report_json", "/proc/none.json"}),
       "--report-json: cannot write '/proc/none.json': "},
      {Sweep(model, {"--concurrency", "1,,2"}), "--concurrency '1,,2': value 2 is empty"},
      {Sweep(model, {"--dataset", dir}), "--dataset: cannot read '" + dir + "': it is a directory"},
      {Sweep(model, {"--dataset", data}), "open.jsonl:1: not valid JSON at column 12: unexpected"},
      {Sweep(model, {"--report-json", dir_.File("none/x")}), "there is no directory '"},
      {Sweep(model, {"--report-json", dir}), "--report-json: '" + dir + "' is a directory"},
      {{"sweep", "--resume", dir_.File("none")}, "a run is a directory with a results.json"},
      {Sweep(model, {"--random-seed", "-1"}), "--random-seed: -1 is outside 0 to "},
      {{"compare", "--a", "--model " + model, "--b", "--tp 3 --model " + model, "--concurrency",
        "1", "--device", "cpu", "--output", dir_.File("results")},
       "layout tp3 does not fit regatta-dense"},
      {{"compare", "--a", "--model " + dir_.File("no_model"), "--b", "--model " + model},
       "/no_model' does not exist"},
      {{"serve", model, "--gpu-memory-utilization", "0.9"},
       "--gpu-memory-utilization is a share of all memory; give --kv-cache-free-gpu-mem-fraction"},
      {{"serve", model, "--api-key", "x"}, "--api-key: everybody on this machine can read"},
      {{"plan", "--model", dir}, "config.json: No such file or directory"},
      {{"plan", "--model", data}, "open.jsonl' is a file; give one in Hugging Face layout"},
      {{"plan", "--model", model, "--max-seq-len", "99999"},
       "is over the context of regatta-dense"},
      {{"prepare-dataset", "--model", model, "--output", dir_.File("x"), "text", "--input", dir},
       "--input: cannot read '" + dir + "': it is a directory"},
      {{"prepare-dataset", "--model", model, "--output", dir_.File("x"), "trace", "--format",
        "mooncake", "--input", data},
       "open.jsonl:1: not valid JSON at column 12"},
      {{"prepare-dataset", "--model", model, "--output", dir_.File("x"), "token-norm-dist",
        "--num-requests", "3", "--input-mean", "1000", "--input-stdev", "0", "--output-mean", "100",
        "--output-stdev", "0"},
       "x:1: 1000 tokens in and 100 out are 1100, over 1024, the context of regatta-dense; so are "
       "3 "
       "of 3 lines: give --tokenizer in place of --model for a server with another context, or "
       "shorten them or leave them out"},
      {{"plan", "--model", model, "--target-input-len", "9999"},
       "9999 tokens in and 1 out are 10000, over 1024, the model's context"},
      {{"prepare-dataset", "--model", model, "--output", dir_.File("x"), "--random-seed", "-1",
        "token-norm-dist"},
       "--random-seed: -1 is outside 0 to "},
      {{"prepare-dataset", "--model", model, "--output", dir_.File("x"), "token-norm-dist",
        "--num-requests", "3", "--input-mean", "100", "--input-stdev", "1e300", "--output-mean",
        "100", "--output-stdev", "0"},
       "--input-stdev is 1e+300, must be in 0..16777216"},
      {{"import", dir, "--source", "x", "--output", dir_.File("x")},
       "has no file that is named as those of format auto"},
      {{"compare", dir_.File("none"), dir_.File("none")}, "a run is a directory with a results"},
  };
  for (const BadCommand& command : commands) ExpectRefusal(command.arguments, command.message);
  EXPECT_FALSE(fs::exists(dir_.File("x")));
}

TEST_F(BadInputTest, OutputThatIsLostIsAFailureButNotAReaderWhoLeft) {
  const std::string plan =
      absl::StrCat(REGATTA_BIN_DIR, "/regatta plan --gpu H200 --model ", Bundled("regatta-dense"));
  const std::string errors = dir_.File("errors");
  const auto exit_code = [](const std::string& command) {
    return WEXITSTATUS(std::system(absl::StrCat("bash -c '", command, "'").c_str()));
  };
  EXPECT_EQ(exit_code(plan + " > /dev/full 2> " + errors), 1);
  std::stringstream text;
  text << std::ifstream(errors).rdbuf();
  EXPECT_EQ(text.str(),
            "regatta: not all could be written to standard output: No space left on device\n");
  EXPECT_EQ(exit_code("set -o pipefail; " + plan + " | exec 0<&-"), 0);
}

}  // namespace
}  // namespace regatta
