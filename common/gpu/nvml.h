// The part of NVIDIA's management library that we call, loaded at run time: there is no such
// library on hosts without GPUs and none at build time. Layouts are of NVML's stable ABI
// (docs.nvidia.com/deploy/nvml-api).
#pragma once

#include <dlfcn.h>

#include <string>

namespace regatta {

using NvmlDevice = void*;

// Where there is a driver.
inline constexpr char kNvmlLibrary[] = "libnvidia-ml.so.1";

inline constexpr int kNvmlSuccess = 0;
inline constexpr int kNvmlDriverNotLoaded = 9;
inline constexpr int kNvmlClockSm = 1, kNvmlClockMemory = 2;
inline constexpr int kNvmlTemperatureGpu = 0;
inline constexpr int kNvmlUncorrected = 1, kNvmlVolatile = 0;
inline constexpr int kNvmlPeerRead = 0;
inline constexpr unsigned kNvmlMaxLinks = 18;

struct NvmlMemoryV1 {
  unsigned long long total, free, used;
};
struct NvmlMemoryV2 {
  unsigned version = sizeof(NvmlMemoryV2) | 2u << 24;
  unsigned long long total, reserved, free, used;
};
struct NvmlProcess {
  unsigned pid;
  unsigned long long memory;
  unsigned gpu_instance, compute_instance;
};
struct NvmlPci {
  char legacy_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char id[32];
};
struct NvmlUtilization {
  unsigned gpu, memory;  // percent
};
struct NvmlFabric {
  unsigned char cluster[16];
  int status;
  unsigned clique;
  unsigned char state;
};

class Nvml {
 public:
  explicit Nvml(const std::string& library) : library_(::dlopen(library.c_str(), RTLD_LAZY)) {}
  ~Nvml() {
    if (ready_) Call("Shutdown");
    if (library_ != nullptr) ::dlclose(library_);
  }
  Nvml(const Nvml&) = delete;

  bool loaded() const { return library_ != nullptr; }
  // Before all calls, where it is loaded; its result.
  int Init() {
    const int code = Call("Init_v2");
    ready_ = code == kNvmlSuccess;
    return code;
  }

  // The result of nvml<name>(args...), which must have C's types exactly; -1 when this version of
  // the library lacks it.
  template <typename... Args>
  int Call(const char* name, Args... args) const {
    const auto function =
        reinterpret_cast<int (*)(Args...)>(::dlsym(library_, (std::string("nvml") + name).c_str()));
    return function == nullptr ? -1 : function(args...);
  }
  template <typename... Args>
  bool Try(const char* name, Args... args) const {
    return Call(name, args...) == kNvmlSuccess;
  }
  std::string ErrorText(int code) const {
    const auto function =
        reinterpret_cast<const char* (*)(int)>(::dlsym(library_, "nvmlErrorString"));
    return function == nullptr ? "error " + std::to_string(code) : function(code);
  }

 private:
  void* const library_;
  bool ready_ = false;
};

}  // namespace regatta
