// One reading thread; see gpu_meter.h.
#include "orchestrator/doctor/gpu_meter.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/clock.h"
#include "orchestrator/doctor/slowdown.h"

namespace regatta {
namespace {

constexpr std::chrono::milliseconds kInterval(500);

template <typename T>
std::optional<T> Ask(const Nvml& nvml, const char* name, NvmlDevice device) {
  T value = {};
  if (!nvml.Try(name, device, &value)) return std::nullopt;
  return value;
}

std::optional<unsigned> AskOf(const Nvml& nvml, const char* name, NvmlDevice device, int which) {
  unsigned value = 0;
  if (!nvml.Try(name, device, which, &value)) return std::nullopt;
  return value;
}

GpuReading Read(const Nvml& nvml, NvmlDevice device) {
  GpuReading reading;
  reading.energy_mj = Ask<unsigned long long>(nvml, "DeviceGetTotalEnergyConsumption", device);
  reading.time_ns = RealClock().NowNs();
  const auto reasons =
      Ask<unsigned long long>(nvml, "DeviceGetCurrentClocksThrottleReasons", device);
  reading.slowdown_reasons = reasons.value_or(0);
  reading.power_mw = Ask<unsigned>(nvml, "DeviceGetPowerUsage", device);
  reading.sm_clock_mhz = AskOf(nvml, "DeviceGetClockInfo", device, kNvmlClockSm);
  reading.temperature_c = AskOf(nvml, "DeviceGetTemperature", device, kNvmlTemperatureGpu);
  const auto used = Ask<NvmlUtilization>(nvml, "DeviceGetUtilizationRates", device);
  if (used.has_value()) reading.utilization_percent = used->gpu;
  return reading;
}

}  // namespace

void GpuReadings::Add(const GpuReading& reading) {
  course_.Add(reading);
  const double power_w = reading.power_mw.value_or(0) / 1e3;
  if (samples_ == 0) {
    first_ns_ = reading.time_ns;
    first_mj_ = reading.energy_mj;
  } else {
    integrated_j_ += (reading.time_ns - last_ns_) / 1e9 * (last_power_w_ + power_w) / 2;
  }
  ++samples_;
  last_ns_ = reading.time_ns;
  last_mj_ = reading.energy_mj;
  last_power_w_ = power_w;
  max_power_w_ = std::max(max_power_w_, power_w);
  max_temperature_ = std::max<double>(max_temperature_, reading.temperature_c.value_or(0));
  slowed_ += !SlowdownsOf(reading.slowdown_reasons).empty();
  reasons_ |= reading.slowdown_reasons;
  if (!reading.sm_clock_mhz.has_value() || (reading.slowdown_reasons & kIdleGpu) != 0) return;
  const double clock_mhz = *reading.sm_clock_mhz;
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
  const auto add = [](const std::optional<unsigned>& value, double unit, auto& column) {
    if (value.has_value()) column.Add(*value * unit);
  };
  for (const GpuReading& reading : course_.Take()) {
    if (reading.time_ns < start_ns) continue;
    gpu.add_ms(std::round((reading.time_ns - start_ns) / 1e6));
    add(reading.power_mw, 1e-3, *gpu.mutable_power_w());
    add(reading.sm_clock_mhz, 1, *gpu.mutable_sm_clock_mhz());
    add(reading.temperature_c, 1, *gpu.mutable_temperature_c());
    add(reading.utilization_percent, 1e-2, *gpu.mutable_utilization());
  }
  // A value that was told only at times has no place on the axis.
  for (auto* column : {gpu.mutable_power_w(), gpu.mutable_sm_clock_mhz(),
                       gpu.mutable_temperature_c(), gpu.mutable_utilization()}) {
    if (column->size() != gpu.ms_size()) column->Clear();
  }
}

double GpuReadings::seconds() const { return (last_ns_ - first_ns_) / 1e9; }

GpuMeter::GpuMeter(const std::string& library, const GpuInventory& inventory)
    : gpus_(inventory.gpus) {
  if (gpus_.empty()) return;
  auto nvml = std::make_unique<Nvml>(library);
  if (!nvml->loaded() || !nvml->Try("Init_v2")) return;
  nvml_ = std::move(nvml);
  for (unsigned i = 0; i < gpus_.size(); ++i) {
    NvmlDevice device = nullptr;
    nvml_->Try("DeviceGetHandleByIndex_v2", i, &device);
    devices_.push_back(device);
  }
  readings_.resize(gpus_.size());
  ReadAll();
  reader_ = std::thread([this] { Loop(); });
}

GpuMeter::~GpuMeter() {
  Stop();
  if (nvml_ != nullptr) nvml_->Call("Shutdown");
}

void GpuMeter::ReadAll() {
  for (size_t i = 0; i < devices_.size(); ++i) {
    if (devices_[i] != nullptr) readings_[i].Add(Read(*nvml_, devices_[i]));
  }
}

void GpuMeter::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    lock.unlock();
    ReadAll();
    lock.lock();
  }
}

void GpuMeter::Stop() {
  if (!reader_.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  reader_.join();
}

void GpuMeter::Finish(int64_t start_ns, RegattaInfo& info, PointTimeline& timeline) {
  if (nvml_ == nullptr) return;
  Stop();
  ReadAll();
  EnergyReport& energy = *info.mutable_energy();
  energy.set_energy_counters(true);
  for (size_t i = 0; i < gpus_.size(); ++i) {
    GpuEnergy& gpu = *energy.add_gpus();
    gpu.set_index(i);
    gpu.set_name(gpus_[i].name);
    gpu.set_used(gpus_[i].used);
    if (!readings_[i].Fill(gpu) && gpu.used()) energy.set_energy_counters(false);
    energy.set_seconds(std::max(energy.seconds(), readings_[i].seconds()));
    if (!gpu.used()) continue;
    GpuTimeline& course = *timeline.add_gpus();
    course.set_index(i);
    readings_[i].TakeCourse(start_ns, course);
  }
}

}  // namespace regatta
