// Sums, extremes and columns; see gpu_readings.h.
#include "orchestrator/doctor/gpu_readings.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "orchestrator/doctor/slowdown.h"

namespace regatta {
namespace {

std::optional<uint64_t> EnergyOf(const GpuReading& reading) {
  if (!reading.has_energy_mj()) return std::nullopt;
  return reading.energy_mj();
}

}  // namespace

void GpuReadings::Add(const GpuReading& reading) {
  course_.Add(reading);
  const double power_w = reading.power_mw() / 1e3;
  if (samples_ == 0) {
    first_ns_ = reading.time_ns();
    first_mj_ = EnergyOf(reading);
  } else {
    integrated_j_ += (reading.time_ns() - last_ns_) / 1e9 * (last_power_w_ + power_w) / 2;
  }
  ++samples_;
  last_ns_ = reading.time_ns();
  last_mj_ = EnergyOf(reading);
  last_power_w_ = power_w;
  max_power_w_ = std::max(max_power_w_, power_w);
  max_temperature_ = std::max<double>(max_temperature_, reading.temperature_c());
  slowed_ += !SlowdownsOf(reading.slowdown_reasons()).empty();
  reasons_ |= reading.slowdown_reasons();
  if (!reading.has_sm_clock_mhz() || (reading.slowdown_reasons() & kIdleGpu) != 0) return;
  const double clock_mhz = reading.sm_clock_mhz();
  min_clock_ = clock_samples_ == 0 ? clock_mhz : std::min(min_clock_, clock_mhz);
  clock_sum_ += clock_mhz;
  ++clock_samples_;
}

bool GpuReadings::Fill(GpuEnergy& gpu) const {
  const bool counter = first_mj_.has_value() && last_mj_.has_value() && *last_mj_ >= *first_mj_;
  gpu.set_joules(counter ? (*last_mj_ - *first_mj_) / 1e3 : integrated_j_);
  if (seconds() > 0) gpu.set_mean_power_w(gpu.joules() / seconds());
  gpu.set_max_power_w(max_power_w_);
  gpu.set_max_temperature_c(max_temperature_);
  if (clock_samples_ > 0) gpu.set_mean_sm_clock_mhz(clock_sum_ / clock_samples_);
  gpu.set_min_sm_clock_mhz(min_clock_);
  if (samples_ > 0) gpu.set_throttled_fraction(1.0 * slowed_ / samples_);
  for (const Slowdown& slowdown : SlowdownsOf(reasons_)) gpu.add_throttle_reasons(slowdown.text);
  return counter;
}

void GpuReadings::TakeCourse(int64_t start_ns, GpuTimeline& gpu) {
  for (const GpuReading& reading : course_.Take()) {
    if (reading.time_ns() < start_ns) continue;
    gpu.add_ms(std::round((reading.time_ns() - start_ns) / 1e6));
    if (reading.has_power_mw()) gpu.add_power_w(reading.power_mw() / 1e3);
    if (reading.has_sm_clock_mhz()) gpu.add_sm_clock_mhz(reading.sm_clock_mhz());
    if (reading.has_temperature_c()) gpu.add_temperature_c(reading.temperature_c());
    if (reading.has_utilization_percent()) gpu.add_utilization(reading.utilization_percent() / 1e2);
  }
  // A value that was told only at times has no place on the axis.
  for (auto* column : {gpu.mutable_power_w(), gpu.mutable_sm_clock_mhz(),
                       gpu.mutable_temperature_c(), gpu.mutable_utilization()}) {
    if (column->size() != gpu.ms_size()) column->Clear();
  }
}

double GpuReadings::seconds() const { return (last_ns_ - first_ns_) / 1e9; }

void AddGpu(GpuEnergy gpu, GpuReadings& readings, int64_t start_ns, EnergyReport& energy,
            PointTimeline& timeline) {
  if (!readings.Fill(gpu) && gpu.used()) energy.set_energy_counters(false);
  energy.set_seconds(std::max(energy.seconds(), readings.seconds()));
  if (gpu.used()) {
    GpuTimeline& course = *timeline.add_gpus();
    course.set_index(gpu.index());
    readings.TakeCourse(start_ns, course);
  }
  *energy.add_gpus() = std::move(gpu);
}

}  // namespace regatta
