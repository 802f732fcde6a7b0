// step_bench: decoding steps of the real executor under steady loads, without a router, beside what
// the device could do at best. One process per rank; this one is rank 0 and starts the others.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/flags.h"
#include "common/layout.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "orchestrator/cluster/child_process.h"
#include "tests/bench/step/products.h"
#include "tests/bench/step/step_rank.h"
#include "worker/device.h"
#include "worker/executor.h"
#include "worker/weights/weights.h"

namespace regatta {
namespace {

constexpr uint32_t kBlockSize = 16;
constexpr uint32_t kTracedSteps = 16;
constexpr size_t kListedKernels = 16;
constexpr uint32_t kFormTimeoutMs = 300'000;

struct Flags {
  std::string model;
  std::string device = "cuda";
  uint32_t tp = 1, ep = 1;
  std::string dtype = "auto", kv_cache_dtype = "auto", quantization;
  std::vector<uint32_t> batches = {1, 2, 4, 8, 16, 32, 64, 128, 256};
  uint32_t context = 1024, max_num_tokens = 8192;
  uint32_t warmup = 8, steps = 64, inflight = 2, output = 0, max_graph = 0;
  bool trace = true, list_kernels = false, deterministic = false;
  double router_skew = 0;
  uint32_t threads = 1;
  std::string json, log_dir = ".";
  // Of ranks that this program starts.
  uint32_t rank = 0;
  std::string group;  // the communicator's id in hexadecimal
};

// One line of the report.
struct Row {
  StepTiming timing;
  double floor_s = 0;
  double reference_s = 0;  // negative: no memory to measure it
};

StepLoad LoadOf(const Flags& flags, const ModelSpec& spec) {
  StepLoad load;
  load.batches = flags.batches;
  load.context = flags.context;
  load.output = flags.output;
  load.warmup = flags.warmup;
  load.steps = flags.steps;
  load.traced = flags.trace ? kTracedSteps : 0;
  load.inflight = flags.inflight;
  const uint32_t most = *std::max_element(flags.batches.begin(), flags.batches.end());
  const uint32_t joining = flags.output > 0 ? (most - 1) / flags.output + 1 : 0;  // in one step
  load.shape = {
      .max_batch_size = most,
      .max_num_tokens = std::max(flags.max_num_tokens, most + joining * (flags.context - 1)),
      .max_seq_len = flags.output > 0
                         ? flags.context + flags.output
                         : flags.context + flags.warmup + flags.steps + kFirstTraced + kTracedSteps,
      .block_size = kBlockSize,
      .vocab_size = static_cast<uint32_t>(spec.vocab_size)};
  return load;
}

FormRequest RequestOf(const Flags& flags, const Layout& layout, const StepLoad& load,
                      const std::string& group) {
  FormRequest request;
  request.set_group_epoch(1);
  request.set_rank(flags.rank);
  *request.mutable_layout() = layout;
  request.set_communicator_id(group);
  ModelSource& model = *request.mutable_model();
  model.set_path(flags.model);
  model.set_dummy_weights(true);
  model.set_dummy_router_skew(flags.router_skew);
  model.set_dtype(flags.dtype);
  model.set_quantization(flags.quantization);
  model.set_kv_cache_dtype(flags.kv_cache_dtype);
  request.mutable_limits()->set_max_batch_size(load.shape.max_batch_size);
  request.mutable_limits()->set_max_num_tokens(load.shape.max_num_tokens);
  request.mutable_limits()->set_max_seq_len(load.shape.max_seq_len);
  request.set_block_size(kBlockSize);
  request.set_kv_cache_fraction(0.95);
  request.set_max_kv_blocks(load.shape.num_blocks());
  request.set_max_inflight(load.inflight);
  request.mutable_graphs()->set_max_batch_size(flags.max_graph);
  request.set_deterministic(flags.deterministic);
  request.set_timeout_ms(kFormTimeoutMs);
  return request;
}

absl::StatusOr<std::vector<StepTiming>> FormAndRun(const Flags& flags, const FormRequest& request,
                                                   const StepLoad& load, Device& device,
                                                   Formed& formed) {
  const std::atomic<bool> stop = false;
  ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                   Executor::Form(request, device, stop, [](const FormProgress&) {}));
  formed = executor->formed();
  if (formed.kv_blocks() < load.shape.num_blocks()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the KV cache has ", formed.kv_blocks(), " blocks, the largest batch needs ",
                     load.shape.num_blocks(), ": lower --batch or --context"));
  }
  absl::StatusOr<std::vector<StepTiming>> timings = RunSteps(*executor, load);
  if (!timings.ok()) executor->Abort(std::string(timings.status().message()));
  return timings;
}

// The other ranks of the group: this program again, which makes the same plans by itself.
absl::StatusOr<std::vector<std::unique_ptr<ChildProcess>>> StartPeers(
    const Flags& flags, const std::vector<std::string>& arguments, const std::string& group) {
  std::vector<std::unique_ptr<ChildProcess>> peers;
  for (uint32_t rank = 1; rank < flags.tp; ++rank) {
    std::vector<std::string> command = arguments;
    command[0] = "/proc/self/exe";
    for (const std::string& more :
         {absl::StrCat("--rank=", rank), absl::StrCat("--group=", absl::BytesToHexString(group))}) {
      command.push_back(more);
    }
    const std::string name = absl::StrCat("step_bench-rank", rank);
    ASSIGN_OR_RETURN(auto peer, ChildProcess::Start(
                                    name, command, absl::StrCat(flags.log_dir, "/", name, ".log")));
    peers.push_back(std::move(peer));
  }
  return peers;
}

std::string Calibration(const Device& device, const DeviceRates& rates) {
  return absl::StrFormat(
      "%s: reads %.2f TB/s, copies %.2f TB/s (both ways), bf16 %.0f TFLOP/s, fp8 %.0f TFLOP/s\n",
      device.name(), rates.read_bytes * 1e-12, rates.copy_bytes * 1e-12,
      rates.bf16_operations * 1e-12, rates.fp8_operations * 1e-12);
}

std::string IdleText(const StepTiming& timing) {
  return timing.idle_share < 0 ? "-" : absl::StrFormat("%.1f", 100 * timing.idle_share);
}

std::string Table(const std::vector<Row>& rows) {
  std::string text = absl::StrFormat("%6s %9s %10s %9s %9s %7s %9s %9s %7s %7s %10s\n", "batch",
                                     "step ms", "tok/s", "floor ms", "of floor", "prod ms",
                                     "step/prod", "launch ms", "dry %", "idle %", "fill tok/s");
  for (const auto& [timing, floor_s, reference_s] : rows) {
    absl::StrAppendFormat(
        &text, "%6d %9.3f %10.0f %9.3f %8.1f%% %7.3f %9.2f %9.3f %7.1f %7s %10.0f\n", timing.batch,
        timing.step_s * 1e3, timing.batch / timing.step_s, floor_s * 1e3,
        100 * floor_s / timing.step_s, reference_s * 1e3, timing.step_s / reference_s,
        timing.launch_s * 1e3, 100 * timing.dry_share, IdleText(timing), timing.fill_tokens_s);
  }
  return text +
         "floor: every product at the measured read or product rate, keys and values read "
         "once; prod: the products alone, one after another; dry: steps found done; "
         "idle: of the GPU while its kernels are traced, which adds to it.\n";
}

// Where the time of a step goes, longest first.
std::string KernelTable(const StepTiming& timing) {
  std::string text =
      absl::StrFormat("%d sequences, us of a step: busy, idle before, launches\n", timing.batch);
  for (size_t i = 0; i < std::min(timing.kernels.size(), kListedKernels); ++i) {
    const KernelShare& share = timing.kernels[i];
    absl::StrAppendFormat(&text, "%9.1f %9.1f %7d  %s\n", share.busy_s * 1e6, share.idle_s * 1e6,
                          share.count, share.name.substr(0, 120));
  }
  return text;
}

// Tokens that a step multiplies: one of each sequence, but a prompt of those that begin.
int TokensOf(const Flags& flags, uint32_t batch) {
  if (flags.output == 0) return static_cast<int>(batch);
  return static_cast<int>(batch + 1.0 * batch / flags.output * (flags.context - 1));
}

nlohmann::ordered_json JsonOf(const Flags& flags, const Device& device, const DeviceRates& rates,
                              const Formed& formed, const std::vector<Row>& rows) {
  nlohmann::ordered_json report = {{"schema", "regatta-step-bench-1"},
                                   {"version", kVersion},
                                   {"commit", BuildCommit()},
                                   {"model", flags.model},
                                   {"device", device.name()},
                                   {"tp", flags.tp},
                                   {"ep", flags.ep},
                                   {"dtype", formed.dtype()},
                                   {"quantization", flags.quantization},
                                   {"kv_cache_dtype", formed.kv_cache_dtype()},
                                   {"deterministic", flags.deterministic},
                                   {"output", flags.output},
                                   {"context", flags.context},
                                   {"inflight", flags.inflight},
                                   {"steps", flags.steps},
                                   {"dummy_router_skew", flags.router_skew},
                                   {"load_seconds", formed.load_seconds()},
                                   {"capture_seconds", formed.capture_seconds()},
                                   {"weight_bytes", formed.weight_bytes()}};
  report["rates"] = {{"read_bytes_s", rates.read_bytes},
                     {"copy_bytes_s", rates.copy_bytes},
                     {"bf16_operations_s", rates.bf16_operations},
                     {"fp8_operations_s", rates.fp8_operations}};
  for (const auto& [timing, floor_s, reference_s] : rows) {
    report["batches"].push_back({{"batch", timing.batch},
                                 {"step_s", timing.step_s},
                                 {"tokens_s", timing.batch / timing.step_s},
                                 {"floor_s", floor_s},
                                 {"products_s", reference_s},
                                 {"launch_s", timing.launch_s},
                                 {"dry_share", timing.dry_share},
                                 {"idle_share", timing.idle_share},
                                 {"mean_context", timing.mean_context},
                                 {"fill_tokens_s", timing.fill_tokens_s}});
  }
  return report;
}

// Rank 0: rates and products while the device is free, then the steps.
absl::Status Lead(const Flags& flags, const std::vector<std::string>& arguments,
                  const ModelSpec& spec, const Layout& layout, Device& device) {
  const RankPosition position = PositionOf(spec, layout, 0);
  const ShardShape shape = ShapeOf(spec, layout, position);
  ASSIGN_OR_RETURN(const DType dtype, ResolveDType(flags.dtype, spec, device.kind()));
  const StepLoad load = LoadOf(flags, spec);
  const std::vector<Product> products = ProductsOf(spec, shape, position);
  std::vector<Row> rows(flags.batches.size());
  DeviceRates rates;
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Ops> ops, device.MakeOps());
    rates = MeasureRates(*ops);
    std::cout << Calibration(device, rates) << std::flush;
    for (size_t i = 0; i < rows.size(); ++i) {
      const int batch = static_cast<int>(flags.batches[i]), tokens = TokensOf(flags, batch);
      const ExpertWork experts = ExpertsOf(spec, shape, position, tokens, dtype);
      rows[i].reference_s =
          ReferenceSeconds(products, spec, shape, experts, tokens, batch, dtype, *ops);
    }
  }
  std::unique_ptr<GroupOffer> offer;
  if (flags.tp > 1) {
    ASSIGN_OR_RETURN(offer, device.Offer(static_cast<int>(flags.tp)));
  }
  const std::string group = offer == nullptr ? "" : offer->id();
  ASSIGN_OR_RETURN(const auto peers, StartPeers(flags, arguments, group));
  Formed formed;
  ASSIGN_OR_RETURN(const std::vector<StepTiming> timings,
                   FormAndRun(flags, RequestOf(flags, layout, load, group), load, device, formed));
  const double kv_bytes_per_token = 1.0 * formed.kv_bytes() / formed.kv_blocks() / kBlockSize;
  for (size_t i = 0; i < rows.size(); ++i) {
    const int batch = static_cast<int>(flags.batches[i]), tokens = TokensOf(flags, batch);
    rows[i].timing = timings[i];
    rows[i].floor_s =
        FloorSeconds(products, ExpertsOf(spec, shape, position, tokens, dtype), tokens, batch,
                     batch * timings[i].mean_context * kv_bytes_per_token, dtype, rates);
  }
  std::cout << absl::StrFormat("%s, %s, tp %d, context %d: %.2f GB of weights in %.2f s\n",
                               spec.name, formed.dtype(), flags.tp, flags.context,
                               formed.weight_bytes() / 1e9, formed.load_seconds())
            << Table(rows);
  for (const Row& row : rows) {
    if (flags.list_kernels) std::cout << KernelTable(row.timing);
  }
  if (flags.json.empty()) return absl::OkStatus();
  std::ofstream file(flags.json);
  file << JsonOf(flags, device, rates, formed, rows).dump(2) << "\n";
  file.close();
  return file.good() ? absl::OkStatus()
                     : absl::UnavailableError(absl::StrCat("cannot write ", flags.json));
}

absl::Status Run(const Flags& flags, const std::vector<std::string>& arguments) {
  ASSIGN_OR_RETURN(ModelSpec spec, LoadModelSpec(flags.model));
  ASSIGN_OR_RETURN(
      spec.quantization,
      ResolveQuantization(flags.quantization, /*dummy_weights=*/true, spec.quantization));
  ASSIGN_OR_RETURN(const Layout layout, MakeLayout(flags.tp, 1, flags.ep, 1));
  RETURN_IF_ERROR(CheckLayout(spec, layout));
  const std::string name =
      flags.device == "cuda" ? absl::StrCat("cuda:", flags.rank) : flags.device;
  ASSIGN_OR_RETURN(const std::unique_ptr<Device> device,
                   OpenDevice(name, static_cast<int>(flags.threads)));
  if (flags.rank == 0) return Lead(flags, arguments, spec, layout, *device);
  const StepLoad load = LoadOf(flags, spec);
  Formed formed;
  return FormAndRun(flags, RequestOf(flags, layout, load, absl::HexStringToBytes(flags.group)),
                    load, *device, formed)
      .status();
}

void AddFlags(CLI::App& app, Flags& flags) {
  const auto sizes = CLI::Range(1u, 1u << 16);
  app.add_option("--model", flags.model, "directory with a config.json")->required();
  app.add_option("--device", flags.device, "cuda: a GPU per rank; cpu")
      ->check(CLI::IsMember({"cuda", "cpu"}))
      ->capture_default_str();
  app.add_option("--tp", flags.tp, "tensor parallel ranks")->check(sizes)->capture_default_str();
  app.add_option("--ep", flags.ep, "expert parallel ranks; divides --tp")
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--dtype", flags.dtype, "auto, float32, bfloat16 or float16")
      ->capture_default_str();
  app.add_option("--kv-cache-dtype", flags.kv_cache_dtype, "of keys and values")
      ->capture_default_str();
  app.add_option("--quantization", flags.quantization, "fp8, fp8_static; empty = none");
  app.add_flag("--deterministic", flags.deterministic, "a token's bits whatever shares its step");
  app.add_option("--output", flags.output,
                 "tokens of a sequence before a prompt takes its place, as in a closed loop; 0 = "
                 "decoding alone")
      ->check(CLI::Range(0u, 1u << 20))
      ->capture_default_str();
  app.add_option("--batch", flags.batches, "sequences: 1,8,64")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--context", flags.context, "tokens of every prompt")
      ->check(CLI::Range(1u, 1u << 24))
      ->capture_default_str();
  app.add_option("--max-num-tokens", flags.max_num_tokens,
                 "prompt tokens in one step; more where a closed loop needs them")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
  app.add_option("--steps", flags.steps, "decoding steps that are measured")
      ->check(sizes)
      ->capture_default_str();
  app.add_flag("--trace,!--no-trace", flags.trace, "time kernels of some more steps (CUPTI)");
  app.add_flag("--list-kernels", flags.list_kernels,
               "also print where the traced steps' time goes");
  app.add_option("--warmup", flags.warmup, "decoding steps before those")
      ->check(CLI::Range(0u, 1u << 16))
      ->capture_default_str();
  app.add_option("--max-graph-batch", flags.max_graph,
                 "sequences of the largest recorded step; 0 = the executor's default")
      ->capture_default_str();
  app.add_option("--inflight", flags.inflight, "steps launched ahead")
      ->check(CLI::Range(1u, 8u))
      ->capture_default_str();
  app.add_option("--dummy-router-skew", flags.router_skew, "popularity of experts: rank^-skew")
      ->check(CLI::Range(0.0, 4.0))
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "of a CPU rank")->check(sizes)->capture_default_str();
  app.add_option("--json", flags.json, "also write the report there");
  app.add_option("--log-dir", flags.log_dir, "for logs of ranks above 0")->capture_default_str();
  app.add_option("--rank", flags.rank, "")->group("");
  app.add_option("--group", flags.group, "")->group("");
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  CLI::App app("Decoding steps of one group beside the best that its devices can do.",
               "step_bench");
  app.footer(
      "Examples:\n"
      "  step_bench --model tests/testing/configs/llama-3.1-8b --batch 1,64,256 --json step.json\n"
      "  step_bench --model tests/testing/configs/llama-3.1-8b --batch 512 --context 128 --output "
      "128 --quantization fp8_static --kv-cache-dtype fp8\n"
      "  step_bench --model tests/models/regatta-dense --device cpu --tp 2 --batch 1,4 --steps 8");
  regatta::Flags flags;
  regatta::AddFlags(app, flags);
  const int exit_code = regatta::ParseFlags(app, argc, argv);
  if (exit_code >= 0) return exit_code;
  const absl::Status status = regatta::Run(flags, {argv, argv + argc});
  if (!status.ok()) std::cerr << "step_bench: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
