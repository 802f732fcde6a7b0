// See cost.h.
#include "orchestrator/statistics/cost.h"

#include <algorithm>

#include "orchestrator/statistics/quantiles.h"

namespace regatta {

void FillCost(PointReport& report) {
  CostReport& cost = *report.mutable_regatta()->mutable_cost();
  const uint32_t gpus = std::max(1u, report.world_info().world_size());
  const auto per_million = [&](uint32_t paid, double tokens_per_s) {
    return Ratio(cost.gpu_hour_price() * paid * 1e6, tokens_per_s * 3600);
  };
  const double output = report.performance().system_output_throughput_tok_s();
  cost.set_gpus(gpus);
  cost.set_per_million_output_tokens(per_million(gpus, output));
  cost.set_per_million_total_tokens(
      per_million(gpus, report.performance().system_total_throughput_tok_s()));
  cost.set_per_million_output_tokens_with_idle(
      per_million(gpus + report.regatta().idle_gpus(), output));
}

}  // namespace regatta
