// Steps that are run to be measured; see product_tuning.h.
#include "worker/product_tuning.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/hash.h"
#include "common/status_macros.h"
#include "worker/batch.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

// Of what was measured on devices like this one; empty without a home directory.
std::string CacheFile(const Ops& ops) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == 0) return "";
  const std::string tuning = ops.ExportTuning();
  const uint64_t device = Fnv1a(tuning.substr(0, tuning.find('\n')));
  return (fs::path(home) / ".cache" / "regatta" / absl::StrCat("products-", absl::Hex(device)))
      .string();
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteCache(const std::string& path, const std::string& bytes) {
  if (path.empty() || ReadAll(path) == bytes) return;
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  WriteFileAtomically(path, bytes).IgnoreError();
}

absl::Status RunStep(const StepBatch& batch, const Buffer& staging, Model& model,
                     StepInputs& inputs, Ops& ops) {
  model.Forward(inputs.Upload(batch, staging));
  std::string fault;
  if (!ops.Sync(&fault)) return absl::InternalError(absl::StrCat("device fault: ", fault));
  return absl::OkStatus();
}

// `bytes` of rank 0 on every rank.
absl::Status Broadcast(std::string& bytes, Ops& ops, Communicator& world) {
  int64_t size = static_cast<int64_t>(bytes.size());
  const auto share = [&](void* data, int64_t num_bytes) -> absl::Status {
    if (num_bytes == 0) return absl::OkStatus();
    const Buffer memory = ops.Allocate(num_bytes);
    if (memory.data() == nullptr) return absl::ResourceExhaustedError("no memory left");
    ops.CopyToDevice(memory.data(), data, num_bytes);
    world.Broadcast(Tensor::Of(memory.data(), DType::kUint8, num_bytes), 0);
    RETURN_IF_ERROR(world.status());
    ops.CopyToHost(data, memory.data(), num_bytes);
    return world.status();
  };
  RETURN_IF_ERROR(share(&size, sizeof(size)));
  bytes.resize(size);
  return share(bytes.data(), size);
}

}  // namespace

absl::Status TuneProducts(const SlotLimits& limits, Model& model, StepInputs& inputs, Ops& ops,
                          Communicator& world, absl::FunctionRef<absl::Status(double)> report) {
  const std::vector<int> sizes = ops.TuningSizes(static_cast<int>(limits.max_num_tokens));
  if (sizes.empty()) return absl::OkStatus();
  const bool measures = world.rank() == 0;
  const std::string cache = measures ? CacheFile(ops) : "";
  if (!cache.empty()) ops.ImportTuning(ReadAll(cache));
  ASSIGN_OR_RETURN(const Buffer staging, inputs.MakeStaging());
  ops.SetTuning(measures);
  absl::Status status;
  for (size_t i = 0; i < sizes.size() && status.ok(); ++i) {
    StepBatch batch;
    // Small steps decode, so that the head is measured too.
    if (sizes[i] <= static_cast<int>(limits.num_slots)) {
      PadDecode(sizes[i], batch);
    } else {
      FillPrompt(sizes[i], batch);
    }
    status = RunStep(batch, staging, model, inputs, ops);
    if (status.ok())
      status = report(static_cast<double>(i + 1) / static_cast<double>(sizes.size()));
  }
  ops.SetTuning(false);
  RETURN_IF_ERROR(status);
  std::string tuning = ops.ExportTuning();
  if (!cache.empty()) WriteCache(cache, tuning);
  if (world.size() == 1) return absl::OkStatus();
  RETURN_IF_ERROR(Broadcast(tuning, ops, world));
  if (measures || ops.ImportTuning(tuning)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "ranks of one group must have devices and libraries of the same kind; rank 0's are others");
}

}  // namespace regatta
