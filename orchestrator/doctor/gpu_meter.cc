// One reading thread; see gpu_meter.h.
#include "orchestrator/doctor/gpu_meter.h"

#include <algorithm>
#include <chrono>

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

}  // namespace

void GpuReadings::Add(int64_t time_ns, std::optional<uint64_t> energy_mj,
                      std::optional<unsigned> power_mw, std::optional<unsigned> sm_clock_mhz,
                      std::optional<unsigned> temperature_c, uint64_t slowdown_reasons) {
  const double power_w = power_mw.value_or(0) / 1e3;
  if (samples_ == 0) {
    first_ns_ = time_ns;
    first_mj_ = energy_mj;
  } else {
    integrated_j_ += (time_ns - last_ns_) / 1e9 * (last_power_w_ + power_w) / 2;
  }
  ++samples_;
  last_ns_ = time_ns;
  last_mj_ = energy_mj;
  last_power_w_ = power_w;
  max_power_w_ = std::max(max_power_w_, power_w);
  max_temperature_ = std::max<double>(max_temperature_, temperature_c.value_or(0));
  slowed_ += !SlowdownsOf(slowdown_reasons).empty();
  reasons_ |= slowdown_reasons;
  if (!sm_clock_mhz.has_value() || (slowdown_reasons & kIdleGpu) != 0) return;
  min_clock_ = clock_samples_ == 0 ? *sm_clock_mhz : std::min<double>(min_clock_, *sm_clock_mhz);
  clock_sum_ += *sm_clock_mhz;
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
  const RealClock clock;
  for (size_t i = 0; i < devices_.size(); ++i) {
    const NvmlDevice device = devices_[i];
    if (device == nullptr) continue;
    const auto energy = Ask<unsigned long long>(*nvml_, "DeviceGetTotalEnergyConsumption", device);
    const int64_t now_ns = clock.NowNs();
    const auto reasons =
        Ask<unsigned long long>(*nvml_, "DeviceGetCurrentClocksThrottleReasons", device);
    readings_[i].Add(now_ns, energy, Ask<unsigned>(*nvml_, "DeviceGetPowerUsage", device),
                     AskOf(*nvml_, "DeviceGetClockInfo", device, kNvmlClockSm),
                     AskOf(*nvml_, "DeviceGetTemperature", device, kNvmlTemperatureGpu),
                     reasons.value_or(0));
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

void GpuMeter::Finish(RegattaInfo& info) {
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
  }
}

}  // namespace regatta
