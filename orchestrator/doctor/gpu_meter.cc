// One reading thread; see gpu_meter.h.
#include "orchestrator/doctor/gpu_meter.h"

#include <chrono>
#include <utility>

#include "common/gpu/gpu_reading.h"

namespace regatta {
namespace {

constexpr std::chrono::milliseconds kInterval(500);

}  // namespace

GpuMeter::GpuMeter(const std::string& library, const GpuInventory& inventory)
    : gpus_(inventory.gpus) {
  if (gpus_.empty()) return;
  auto nvml = std::make_unique<Nvml>(library);
  if (!nvml->loaded() || nvml->Init() != kNvmlSuccess) return;
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

GpuMeter::~GpuMeter() { Stop(); }

void GpuMeter::ReadAll() {
  for (size_t i = 0; i < devices_.size(); ++i) {
    if (devices_[i] != nullptr) readings_[i].Add(ReadGpu(*nvml_, devices_[i]));
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
    GpuEnergy gpu;
    gpu.set_index(i);
    gpu.set_name(gpus_[i].name);
    gpu.set_used(gpus_[i].used);
    AddGpu(std::move(gpu), readings_[i], start_ns, energy, timeline);
  }
}

}  // namespace regatta
