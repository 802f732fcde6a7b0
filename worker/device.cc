// Devices by name; see device.h.
#include "worker/device.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "worker/cpu_device.h"
#ifdef REGATTA_CUDA
#include "worker/cuda_device.h"
#endif

namespace regatta {
namespace {

#ifdef REGATTA_CUDA
int NumGpus() { return NumCudaDevices(); }
absl::StatusOr<std::unique_ptr<Device>> OpenGpu(int index, int num_threads) {
  return OpenCudaDevice(index, num_threads);
}
#else
int NumGpus() { return 0; }
absl::StatusOr<std::unique_ptr<Device>> OpenGpu(int, int) {
  return absl::InvalidArgumentError("this build has no CUDA; build with CUDA=1");
}
#endif

}  // namespace

std::vector<std::string> ListDevices() {
  std::vector<std::string> names;
  for (int i = 0; i < NumGpus(); ++i) names.push_back(absl::StrCat("cuda:", i));
  names.push_back("cpu");
  return names;
}

absl::StatusOr<std::unique_ptr<Device>> OpenDevice(const std::string& name, int num_threads) {
  if (name == "cpu") return MakeCpuDevice(num_threads);
  absl::string_view rest = name;
  int index = 0;
  if (absl::ConsumePrefix(&rest, "cuda:") && absl::SimpleAtoi(rest, &index) && index >= 0) {
    if (index < NumGpus() || NumGpus() == 0) return OpenGpu(index, num_threads);
  }
  return absl::NotFoundError(
      absl::StrCat("device '", name, "'; there are: ", absl::StrJoin(ListDevices(), ", ")));
}

}  // namespace regatta
