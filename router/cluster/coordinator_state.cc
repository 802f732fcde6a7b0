// What the cluster tells people and programs about itself; see coordinator.h.
#include <algorithm>

#include "common/version.h"
#include "router/cluster/coordinator.h"

namespace regatta {

std::string Coordinator::Phase() const {
  if (draining_) return "draining";
  if (repartition_ && repartition_->stage != RepartitionJob::kQueued) return "repartitioning";
  return groups_.empty() ? "unavailable" : "serving";
}

ClusterState Coordinator::StateNow() const {
  ClusterState state;
  SchedulerState total = retired_;
  uint32_t waiting = placement_.num_waiting() + compiling_.size();
  uint32_t running = 0;
  double fullest = 0;
  for (const auto& [epoch, group] : groups_) {
    const SchedulerState of_group = group.engine->state();
    running += of_group.running;
    waiting += of_group.waiting;
    fullest = std::max(fullest, static_cast<double>(of_group.used_blocks) /
                                    std::max(1u, group.formed.formed.kv_blocks()));
    total.preemptions += of_group.preemptions;
    total.steps += of_group.steps;
    total.prompt_tokens += of_group.prompt_tokens;
    total.cached_tokens += of_group.cached_tokens;
    total.output_tokens += of_group.output_tokens;
    const std::vector<size_t>& workers = group.formed.plan.workers;
    for (size_t rank = 0; rank < workers.size(); ++rank) {
      std::optional<GpuReading> reading = group.metrics->rank(rank).gpu.Get();
      if (!reading.has_value()) continue;
      WorkerReading& gpu = *state.add_gpus();
      gpu.set_worker(workers[rank]);
      *gpu.mutable_reading() = *std::move(reading);
    }
  }
  state.set_time_ns(clock_.NowNs());
  state.set_running(running);
  state.set_waiting(waiting);
  state.set_output_tokens(total.output_tokens);
  state.set_prompt_tokens(total.prompt_tokens);
  state.set_cached_tokens(total.cached_tokens);
  state.set_preemptions(total.preemptions);
  state.set_finished(finished_);
  state.set_steps(total.steps);
  state.set_kv_usage(fullest);
  state.set_phase(Phase());
  return state;
}

ClusterDescription Coordinator::DescribeNow() const {
  ClusterDescription description;
  description.set_version(kVersion);
  description.set_commit(BuildCommit());
  *description.mutable_model() = options_.former.model;
  description.set_model_name(spec_.name);
  description.set_architecture(spec_.architecture);
  description.set_parameters(spec_.NumParameters());
  description.set_vocab_size(spec_.vocab_size);
  description.set_max_position(spec_.max_position);
  description.mutable_eos_token_ids()->Assign(spec_.eos_token_ids.begin(),
                                              spec_.eos_token_ids.end());
  *description.mutable_layout() = layout_;
  *description.mutable_limits() = plan_.request.limits();
  description.set_kv_cache_fraction(options_.former.limits.kv_cache_fraction);
  description.set_prefix_cache(options_.prefix_cache);
  description.set_chunked_prefill(options_.former.limits.chunked_prefill);
  description.set_pace_prompts(options_.pace_prompts);
  description.set_deterministic(options_.former.deterministic);
  description.set_max_inflight(plan_.request.max_inflight());
  description.set_block_size(options_.former.limits.block_size);
  description.set_tls(options_.tls);
  description.set_insecure(options_.insecure);
  description.mutable_model()->set_quantization(QuantizationName(spec_.quantization));
  std::vector<int32_t> group_of(pool_.size(), -1);
  for (const auto& [epoch, group] : groups_) {
    GroupDescription& entry = *description.add_groups();
    entry.set_group(group.index);
    entry.set_epoch(epoch);
    entry.set_state("running");
    entry.set_kv_blocks(group.formed.formed.kv_blocks());
    // What "auto" became on these devices.
    description.mutable_model()->set_dtype(group.formed.formed.dtype());
    description.mutable_model()->set_kv_cache_dtype(group.formed.formed.kv_cache_dtype());
    entry.set_block_size(options_.former.limits.block_size);
    for (const size_t worker : group.formed.plan.workers) {
      entry.add_addresses(pool_.address(worker));
      group_of[worker] = static_cast<int32_t>(group.index);
    }
  }
  for (size_t i = 0; i < pool_.size(); ++i) {
    PoolWorker& worker = *description.add_workers();
    worker.set_address(pool_.address(i));
    worker.set_group(group_of[i]);
    if (i < plan_.workers.size()) *worker.mutable_description() = plan_.workers[i];
    // Described before it was formed.
    if (group_of[i] >= 0) worker.mutable_description()->set_state("running");
  }
  return description;
}

}  // namespace regatta
