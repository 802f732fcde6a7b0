// dlopen, versions and their rules; see library_facts.h.
#include "orchestrator/doctor/library_facts.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/doctor/finding.h"

namespace regatta {
namespace {

#ifdef REGATTA_CUDA_VERSION
constexpr int kBuiltForCuda = REGATTA_CUDA_VERSION;
#else
constexpr int kBuiltForCuda = 0;
#endif

LibraryFacts Load(const std::string& name, const std::string& file) {
  LibraryFacts facts = {name, file};
  void* const library = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    facts.error = ::dlerror();
    return facts;
  }
  const auto nccl = reinterpret_cast<int (*)(int*)>(::dlsym(library, "ncclGetVersion"));
  const auto blas = reinterpret_cast<size_t (*)()>(::dlsym(library, "cublasLtGetVersion"));
  if (nccl != nullptr) nccl(&facts.version);
  if (blas != nullptr) facts.version = static_cast<int>(blas());
  ::dlclose(library);
  return facts;
}

HostFinding CudaOfDriver(const BuildFacts& build, const GpuInventory& inventory) {
  const std::string value = absl::StrCat("driver ", inventory.driver_version, ", CUDA ",
                                         CudaVersionText(inventory.cuda_version));
  if (build.cuda_version == 0) {
    return MakeFinding(kWarning, "driver", "CUDA", value,
                       "this build has no CUDA: ranks run on CPUs", "make build CUDA=1");
  }
  // Within a major version, newer runtimes run on older drivers.
  const bool old = inventory.cuda_version / 1000 < build.cuda_version / 1000;
  return MakeFinding(old ? kProblem : kOk, "driver", "CUDA", value,
                     absl::StrCat("built for ", CudaVersionText(build.cuda_version)),
                     absl::StrCat("install the driver of CUDA ",
                                  CudaVersionText(build.cuda_version), " (nvidia.com/drivers)"));
}

HostFinding LibraryFound(const LibraryFacts& library, bool needed) {
  const std::string value =
      library.error.empty() ? absl::StrCat(library.file, " ", LibraryVersionText(library.version))
                            : library.error;
  const std::string level = library.error.empty() ? kOk : needed ? kProblem : kWarning;
  return MakeFinding(level, "libraries", library.name, value, "found",
                     absl::StrCat("export LD_LIBRARY_PATH=DIRECTORY_OF_", library.file));
}

}  // namespace

std::string CudaVersionText(int version) {
  if (version == 0) return "";
  return absl::StrFormat("%d.%d", version / 1000, version % 1000 / 10);
}

std::string LibraryVersionText(int version) {
  if (version == 0) return "";
  return absl::StrFormat("%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

BuildFacts ReadBuild() {
  BuildFacts build;
  build.cuda_version = kBuiltForCuda;
  if (kBuiltForCuda > 0) {
    const std::string blas = absl::StrCat("libcublasLt.so.", kBuiltForCuda / 1000);
    build.libraries.push_back(Load("cuBLASLt", blas));
  }
  build.libraries.push_back(Load("NCCL", "libnccl.so.2"));
  return build;
}

std::vector<HostFinding> BuildFindings(const BuildFacts& build, const GpuInventory& inventory) {
  if (inventory.gpus.empty()) return {};
  std::vector<HostFinding> findings = {CudaOfDriver(build, inventory)};
  for (const LibraryFacts& library : build.libraries) {
    const bool used = library.name != "NCCL" || inventory.num_used() > 1;
    findings.push_back(LibraryFound(library, build.cuda_version > 0 && used));
  }
  return findings;
}

}  // namespace regatta
