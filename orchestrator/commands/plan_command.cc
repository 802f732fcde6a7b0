// `regatta plan`: memory fit, KV tokens, default limits and valid layouts, without any GPU.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "common/config_numbers.h"
#include "common/flags.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "orchestrator/cluster/plan.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

constexpr uint32_t kMaxLength = 1 << 24;  // tokens

absl::Status PrintPlan(const std::string& model, const PlanInput& input) {
  ASSIGN_OR_RETURN(const std::string directory,
                   ResolveModel(model, ModelParts::kWithoutWeights, InterruptFlag()));
  ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(directory));
  ASSIGN_OR_RETURN(const std::string text, RenderPlan(spec, input));
  std::cout << text;
  return absl::OkStatus();
}

}  // namespace

void AddPlanCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "plan", "Says whether a model fits, with which limits and layouts. Needs no GPU.");
  auto model = std::make_shared<std::string>();
  auto input = std::make_shared<PlanInput>();
  command.add_option("--model", *model, "directory with a config.json, or org/name on the Hub")
      ->required();
  command.add_option("--gpu", input->gpu, "GPU by name (H200, H100, A100-80GB, L40S, ...)")
      ->capture_default_str();
  command.add_option("--gpu-memory-gib", input->gpu_memory_gib, "memory of one GPU instead")
      ->check(FiniteRange(0.001, 65536.0));
  const auto add_size = [&](const char* names, uint32_t& value, const char* text) {
    command.add_option(names, value, text)
        ->check(InRange(ConfigNumberOf("tensor_parallel_size").range))
        ->capture_default_str();
  };
  add_size("--tp,--tp-size", input->tp, "tensor parallel size");
  add_size("--pp,--pp-size", input->pp, "pipeline parallel size");
  add_size("--ep,--ep-size", input->ep, "expert parallel size, divides tp");
  add_size("--dp", input->dp, "independent copies");
  command.add_option("--dtype", input->dtype, "of weights: auto, float32, bfloat16, float16, fp8")
      ->capture_default_str();
  command
      .add_option(
          "--quantization", input->quantization,
          "auto (as the checkpoint is), fp8 (made while loading) or fp8_static (calibrated)")
      ->capture_default_str();
  command.add_option("--kv-cache-dtype", input->kv_cache_dtype, "of the KV cache, likewise")
      ->capture_default_str();
  command
      .add_option("--kv-cache-free-gpu-mem-fraction", input->kv_cache_fraction,
                  "share of the memory left after weights that the KV cache gets")
      ->check(InRange(ConfigNumberOf("kv_cache_config.free_gpu_memory_fraction").range))
      ->capture_default_str();
  command
      .add_option("--target-input-len", input->mean_input_length,
                  "mean prompt length (default: 1024, or what the context leaves)")
      ->check(WholeRange(1, kMaxLength));
  command
      .add_option("--target-output-len", input->mean_output_length,
                  "mean output length (default: 1024, or what the context leaves)")
      ->check(WholeRange(1, kMaxLength));
  command.add_option("--max-seq-len", input->max_seq_len, "longest sequence; 0 = the model's")
      ->check(WholeRange(0, kMaxLength));
  command.footer(
      "Examples:\n"
      "  regatta plan --model Llama-3.1-8B-Instruct --gpu H200 --target-input-len 128 "
      "--target-output-len 128\n"
      "  regatta plan --model Llama-3.3-70B-Instruct --gpu H100 --tp 4 --quantization fp8 "
      "--kv-cache-dtype fp8");
  command.callback([model, input, &context] {
    context.chosen = [model, input] { return ExitCodeOf(PrintPlan(*model, *input)); };
  });
}

}  // namespace regatta
