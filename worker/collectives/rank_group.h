// RankGroup: the ranks of one group as one of them sees it, over one transport: makes
// communicators over subsets of ranks, and aborts them all.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/collectives/communicator.h"

namespace regatta {

class RankGroup {
 public:
  virtual ~RankGroup() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  // A communicator over ranks first, first + stride, ... (`count` of them), of which this rank is
  // one. Every member makes its communicators in the same order. `beside_bytes`, equal on all: of
  // the largest sum that is to run beside other work (Communicator::BesideBytes says what can); the
  // first communicator over the same ranks decides.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(
      int first, int stride, int count, size_t beside_bytes = 0) = 0;
  // Makes every wait on every rank of the group return soon; the first reason counts. Thread-safe.
  virtual void Abort(const std::string& reason) = 0;
  // UNAVAILABLE or DEADLINE_EXCEEDED with rank and cause once the group has failed. Thread-safe,
  // cheap: asked again and again while waiting for a step.
  virtual absl::Status status() const = 0;
};

// What rank 0 of a group to be holds until all ranks have joined.
class GroupOffer {
 public:
  virtual ~GroupOffer() = default;
  // Bytes that every rank joins with.
  virtual const std::string& id() const = 0;
};

}  // namespace regatta
