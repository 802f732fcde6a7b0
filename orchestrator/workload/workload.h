// Deals the prompts of a data set to load points, so that no point sends what an earlier one sent
// as long as the data set lasts. Pure; knows no load and no RPC.
#pragma once

#include <cstdint>
#include <string>

#include "orchestrator/workload/dataset.h"
#include "proto/inference.pb.h"

namespace regatta {

struct WorkloadOptions {
  int64_t eos_id = -1;        // -1: end tokens are ignored and output lengths exact
  bool honor_eos = false;     // stop at the model's end tokens
  bool prefix_cache = false;  // requests may reuse and publish cached prompt blocks
};

// A request ready to send and what its record needs to know.
struct PlannedRequest {
  GenerateRequest request;
  const DatasetEntry* entry = nullptr;  // of the data set the workload was made from
  bool check_answer = false;
};

// A run of consecutive requests: one point's, or one warm-up's. Cheap to copy; the workload's data
// set must outlive it.
class Batch {
 public:
  Batch(const Dataset& dataset, const WorkloadOptions& options, uint64_t first, uint32_t size)
      : dataset_(&dataset), options_(options), first_(first), size_(size) {}

  uint32_t size() const { return size_; }
  // Request `i` of size(): built when it is sent, so that long prompts are held once.
  PlannedRequest At(uint32_t i) const;
  // How many prompts of this batch were sent before, because the data set is too short and not
  // synthetic.
  uint32_t reused() const;

 private:
  const Dataset* dataset_;
  WorkloadOptions options_;
  uint64_t first_;
  uint32_t size_;
};

class Workload {
 public:
  // `dataset` must not be empty and must outlive the workload and its batches.
  Workload(const Dataset& dataset, WorkloadOptions options)
      : dataset_(&dataset), options_(options) {}

  // The next `count` prompts. Past the end, synthetic prompts come again with other ids of the data
  // set's (same lengths), others come again unchanged.
  Batch Deal(uint32_t count);
  // The next prompt dealt is the one at `position` of the endless repetition.
  void Seek(uint64_t position) { next_ = position; }

 private:
  const Dataset* dataset_;
  WorkloadOptions options_;
  uint64_t next_ = 0;
};

}  // namespace regatta
