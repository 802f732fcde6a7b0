// Who holds a rank; see rank_owner.h.
#include "worker/rank_owner.h"

#include <utility>

#include "absl/time/clock.h"

namespace regatta {

std::string RouterAddress(const std::string& peer) { return peer.substr(peer.find(':') + 1); }

void RankOwner::HoldWhile(std::string router, std::function<bool()> lives) {
  router_ = std::move(router);
  lives_ = std::move(lives);
}

void RankOwner::HoldFor(std::string router, absl::Duration time) {
  HoldWhile(std::move(router), [until = absl::Now() + time] { return absl::Now() < until; });
}

void RankOwner::Release() { lives_ = nullptr; }

void RankOwner::ReleaseBy(const std::string& router) {
  if (router_ == router) Release();
}

bool RankOwner::KeepsFrom(const std::string& router) const {
  return lives_ && router_ != router && lives_();
}

}  // namespace regatta
