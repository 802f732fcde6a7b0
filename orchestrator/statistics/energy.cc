// See energy.h.
#include "orchestrator/statistics/energy.h"

#include "orchestrator/statistics/quantiles.h"

namespace regatta {

void FillEnergy(PointReport& report) {
  EnergyReport& energy = *report.mutable_regatta()->mutable_energy();
  double used = 0, idle = 0;
  for (const GpuEnergy& gpu : energy.gpus()) (gpu.used() ? used : idle) += gpu.joules();
  const double requests = report.request_info().num_requests();
  const double output = requests * report.request_info().avg_output_length();
  const double input = requests * report.request_info().avg_input_length();
  energy.set_joules(used);
  energy.set_idle_joules(idle);
  energy.set_mean_power_w(Ratio(used, energy.seconds()));
  energy.set_joules_per_output_token(Ratio(used, output));
  energy.set_joules_per_total_token(Ratio(used, input + output));
  energy.set_joules_per_request(Ratio(used, requests));
  energy.set_output_tokens_per_joule(Ratio(output, used));
  energy.set_output_tok_s_per_w(
      Ratio(report.performance().system_output_throughput_tok_s(), energy.mean_power_w()));
}

}  // namespace regatta
