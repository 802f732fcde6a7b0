// Deals the prompts of a data set to load points, so that no point sends what an earlier one sent
// as long as the data set lasts. Pure; knows no load and no RPC.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/workload/dataset.h"
#include "proto/inference.pb.h"

namespace regatta {

// What was said in a session so far, as its next prompt begins.
struct Conversation {
  std::string text;
  std::vector<uint32_t> ids;

  void AddPrompt(const GenerateRequest& request);
  void AddAnswer(const TokenDelta& delta);
};

struct WorkloadOptions {
  int64_t eos_id = -1;        // -1: end tokens are ignored and output lengths exact
  bool honor_eos = false;     // stop at the model's end tokens
  bool prefix_cache = false;  // requests may reuse and publish cached prompt blocks
  // Normal, at least 0, between an answer and the next turn where the data set does not say.
  double turn_delay_mean_ms = 0;
  double turn_delay_stdev_ms = 0;
  uint64_t seed = 0;
  // >= 0: every prompt begins with tokens (or, in text, words) drawn from it and salt_point, in
  // place of as many of its own; prompts of one point keep what they have in common.
  int64_t cache_salt = -1;
  uint32_t salt_point = 0;
};

// A request ready to send and what its record needs to know.
struct PlannedRequest {
  GenerateRequest request;
  const DatasetEntry* entry = nullptr;  // of the data set the workload was made from
  bool check_answer = false;
  bool has_next = false;  // another turn follows, whose prompt begins with this one and its answer
  uint32_t index = 0;     // of the request in its batch
  uint32_t session = 0;
  uint32_t turn = 0;  // from 0
};

// A run of consecutive sessions, which are requests where entries have one turn: one point's, or
// one warm-up's. Cheap to copy; the workload's data
// set must outlive it.
class Batch {
 public:
  // `repeat`: all sessions are the first one.
  Batch(const Dataset& dataset, const WorkloadOptions& options, uint64_t first, uint32_t size,
        bool repeat = false);

  uint32_t size() const { return size_; }  // in sessions
  uint32_t requests() const;               // in requests: every turn counts
  // The first request of session `i` of size(): built when it is sent, so that long prompts are
  // held once. Any thread may ask.
  PlannedRequest At(uint32_t i) const;
  bool HasTurn(uint32_t session, uint32_t turn) const;
  // The further turn `turn`, which must exist, after what was said.
  PlannedRequest Next(uint32_t session, uint32_t turn, Conversation said) const;
  // When each session is due, in nanoseconds from the batch's first timestamp; every entry must
  // have one, in ascending order.
  std::vector<int64_t> TimestampsNs(double speedup) const;
  // From the answer before it until it is due: the turn's own, or drawn.
  int64_t DelayNs(uint32_t session, uint32_t turn) const;
  // How many prompts of this batch were sent before, because the data set is too short and not
  // synthetic.
  uint32_t reused() const;

 private:
  uint64_t PositionOf(uint32_t session) const { return repeat_ ? first_ : first_ + session; }
  const DatasetEntry& EntryOf(uint32_t session) const;
  void SetCommon(const DatasetEntry& entry, uint32_t session, uint32_t turn,
                 PlannedRequest& planned) const;
  uint32_t FirstIndex(uint32_t session) const;

  const Dataset* dataset_;
  WorkloadOptions options_;
  uint64_t first_;
  uint32_t size_;
  bool repeat_;
  // Requests before each session and in all; null where every session has one.
  std::shared_ptr<const std::vector<uint32_t>> requests_before_;
};

class Workload {
 public:
  // `dataset` must not be empty and must outlive the workload and its batches.
  Workload(const Dataset& dataset, WorkloadOptions options)
      : dataset_(&dataset), options_(options) {}

  // The next `count` prompts. Past the end, synthetic prompts come again with other ids of the data
  // set's (same lengths), others come again unchanged.
  Batch Deal(uint32_t count);
  // The prompt that would be dealt next, `count` times; it still is the next one.
  Batch Repeat(uint32_t count) const;
  // What is dealt from now on has the salt of `point`, if the options ask for salts.
  void SaltFor(uint32_t point) { options_.salt_point = point; }
  // The next prompt dealt is the one at `position` of the endless repetition.
  void Seek(uint64_t position) { next_ = position; }

 private:
  const Dataset* dataset_;
  WorkloadOptions options_;
  uint64_t next_ = 0;
};

}  // namespace regatta
