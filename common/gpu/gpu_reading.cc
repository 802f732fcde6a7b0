// NVML's answers to a reading; see gpu_reading.h.
#include "common/gpu/gpu_reading.h"

#include "common/clock.h"

namespace regatta {

GpuReading ReadGpu(const Nvml& nvml, NvmlDevice device) {
  GpuReading reading;
  unsigned long long wide = 0;
  if (nvml.Try("DeviceGetTotalEnergyConsumption", device, &wide)) reading.set_energy_mj(wide);
  reading.set_time_ns(RealClock().NowNs());
  if (nvml.Try("DeviceGetCurrentClocksThrottleReasons", device, &wide)) {
    reading.set_slowdown_reasons(wide);
  }
  unsigned value = 0;
  if (nvml.Try("DeviceGetPowerUsage", device, &value)) reading.set_power_mw(value);
  if (nvml.Try("DeviceGetClockInfo", device, kNvmlClockSm, &value)) {
    reading.set_sm_clock_mhz(value);
  }
  if (nvml.Try("DeviceGetTemperature", device, kNvmlTemperatureGpu, &value)) {
    reading.set_temperature_c(value);
  }
  NvmlUtilization used = {};
  if (nvml.Try("DeviceGetUtilizationRates", device, &used)) {
    reading.set_utilization_percent(used.gpu);
  }
  reading.set_age_ns(RealClock().NowNs() - reading.time_ns());
  return reading;
}

}  // namespace regatta
