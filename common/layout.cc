// Divisibility rules of layouts and the place of each rank.
#include "common/layout.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

// A layout with its zeros read as ones.
struct Sizes {
  uint64_t pp, tp, dp, expert_tp, ep, copies;
  explicit Sizes(const Layout& layout)
      : pp(One(layout.pp())),
        tp(One(layout.attention_tp())),
        dp(One(layout.attention_dp())),
        expert_tp(One(layout.expert_tp())),
        ep(One(layout.expert_ep())),
        copies(One(layout.copies())) {}

 private:
  static uint64_t One(uint32_t size) { return std::max<uint32_t>(size, 1); }
};

// Sizes whose products are the numbers of ranks that anyone may compute with.
absl::Status CheckMagnitude(const Sizes& sizes) {
  uint64_t world = 1;
  for (uint64_t size : {sizes.pp, sizes.tp, sizes.dp, sizes.copies}) {
    world *= size;
    if (size > kMaxRanks || world > kMaxRanks) {
      return absl::InvalidArgumentError(absl::StrCat("tp ", sizes.tp, ", pp ", sizes.pp, ", dp ",
                                                     sizes.copies, " need more than ", kMaxRanks,
                                                     " ranks"));
    }
  }
  if (sizes.tp * sizes.dp != sizes.expert_tp * sizes.ep) {
    return absl::InvalidArgumentError(absl::StrCat("attention tp ", sizes.tp, " x dp ", sizes.dp,
                                                   " differs from expert tp ", sizes.expert_tp,
                                                   " x ep ", sizes.ep));
  }
  return absl::OkStatus();
}

// "" when `count` things called `what` divide by `size`, else why not.
std::string Indivisible(absl::string_view dimension, uint64_t size, int count,
                        absl::string_view what) {
  if (count % size == 0) return "";
  return absl::StrCat(dimension, " ", size, " does not divide ", count, " ", what);
}

// "" when a rank's share of `count` things called `what` is whole blocks of scales, else why not.
std::string CutsBlock(absl::string_view dimension, uint64_t size, int64_t count,
                      absl::string_view what) {
  if (count % (static_cast<int64_t>(size) * kScaleBlock) == 0) return "";
  return absl::StrCat(dimension, " ", size, " cuts ", count, " ", what, " within a block of ",
                      kScaleBlock, " that shares a scale");
}

// The same of a model whose matrices have a scale per block; parts of fused matrices are whole
// blocks too.
std::string BlockMisfit(const ModelSpec& spec, const Sizes& sizes) {
  if (spec.quantization.scheme != QuantizationScheme::kBlock) return "";
  const int64_t head_dim = spec.head_dim;
  const uint64_t kv_parts = std::min<uint64_t>(sizes.tp, spec.num_kv_heads);
  for (const std::string& reason :
       {CutsBlock("tp", sizes.tp, spec.num_heads * head_dim, "query columns"),
        CutsBlock("tp", kv_parts, spec.num_kv_heads * head_dim, "key columns"),
        CutsBlock("tp", sizes.tp, spec.ffn_width, "MLP columns"),
        CutsBlock("tp", sizes.tp, spec.moe.shared_expert_width, "shared expert columns"),
        CutsBlock("expert tp", sizes.expert_tp, spec.moe.expert_width, "expert columns")}) {
    if (!reason.empty()) return reason;
  }
  return "";
}

std::string NoExperts(const ModelSpec& spec, uint64_t ep) {
  return absl::StrCat("ep ", ep, ": ", spec.architecture, " has no experts to spread");
}

// Why `spec` cannot be split that way; "" when it can.
std::string Misfit(const ModelSpec& spec, const Sizes& sizes) {
  if (sizes.pp > static_cast<uint64_t>(spec.num_layers)) {
    return absl::StrCat("pp ", sizes.pp, " exceeds ", spec.num_layers, " layers");
  }
  if (!spec.is_moe() && sizes.ep > 1) return NoExperts(spec, sizes.ep);
  const uint64_t kv_heads = spec.num_kv_heads;
  if (kv_heads % sizes.tp != 0 && sizes.tp % kv_heads != 0) {
    return absl::StrCat("tp ", sizes.tp, " neither divides ", kv_heads,
                        " KV heads nor is a multiple of them");
  }
  std::vector<std::string> reasons = {
      Indivisible("tp", sizes.tp, spec.num_heads, "query heads"),
      Indivisible("tp", sizes.tp, spec.vocab_size, "vocabulary rows"),
      Indivisible("tp", sizes.tp, spec.ffn_width, "MLP columns (intermediate size)"),
      Indivisible("tp", sizes.tp, spec.moe.shared_expert_width, "shared expert columns"),
      Indivisible("ep", sizes.ep, spec.moe.num_experts, "experts"),
      Indivisible("expert tp", sizes.expert_tp, spec.moe.expert_width, "expert columns"),
  };
  for (const std::string& reason : reasons) {
    if (!reason.empty()) return reason;
  }
  return BlockMisfit(spec, sizes);
}

Layout ToLayout(uint32_t tp, uint32_t pp, uint32_t ep, uint32_t copies) {
  Layout layout;
  layout.set_pp(pp);
  layout.set_attention_tp(tp);
  layout.set_attention_dp(1);
  layout.set_expert_tp(tp / ep);
  layout.set_expert_ep(ep);
  layout.set_copies(copies);
  return layout;
}

std::vector<uint32_t> DivisorsOf(uint32_t n) {
  std::vector<uint32_t> divisors;
  for (uint32_t d = 1; d <= n; ++d) {
    if (n % d == 0) divisors.push_back(d);
  }
  return divisors;
}

}  // namespace

absl::StatusOr<Layout> MakeLayout(uint32_t tp, uint32_t pp, uint32_t ep, uint32_t dp) {
  for (auto [name, size] : {std::pair("tp", tp), {"pp", pp}, {"ep", ep}, {"dp", dp}}) {
    if (size == 0) return absl::InvalidArgumentError(absl::StrCat(name, " is 0; at least 1"));
  }
  if (tp % ep != 0) {
    const std::string fitting =
        tp <= kMaxRanks ? absl::StrCat(": ep ", absl::StrJoin(DivisorsOf(tp), ", "), " would do")
                        : "";
    return absl::InvalidArgumentError(absl::StrCat("ep ", ep, " does not divide tp ", tp,
                                                   "; experts are spread over tp ranks", fitting));
  }
  Layout layout = ToLayout(tp, pp, ep, dp);
  RETURN_IF_ERROR(CheckMagnitude(Sizes(layout)));
  return layout;
}

absl::StatusOr<Layout> MakeLayout(const ModelSpec& spec, uint32_t tp, uint32_t pp, uint32_t ep,
                                  uint32_t dp) {
  if (!spec.is_moe() && ep > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(NoExperts(spec, ep), "; ", spec.name, " takes ep 1 alone"));
  }
  ASSIGN_OR_RETURN(Layout layout, MakeLayout(tp, pp, ep, dp));
  RETURN_IF_ERROR(CheckLayout(spec, layout));
  return layout;
}

uint32_t RanksPerCopy(const Layout& layout) {
  const Sizes sizes(layout);
  return static_cast<uint32_t>(sizes.pp * sizes.tp * sizes.dp);
}

uint32_t WorldSize(const Layout& layout) {
  return static_cast<uint32_t>(RanksPerCopy(layout) * Sizes(layout).copies);
}

std::string LayoutName(const Layout& layout) {
  const Sizes sizes(layout);
  std::vector<std::string> parts;
  for (auto [name, size] : {std::pair("tp", sizes.tp),
                            {"adp", sizes.dp},
                            {"ep", sizes.ep},
                            {"pp", sizes.pp},
                            {"dp", sizes.copies}}) {
    if (size > 1) parts.push_back(absl::StrCat(name, size));
  }
  return parts.empty() ? "tp1" : absl::StrJoin(parts, "-");
}

namespace {

// "layouts of 4 ranks that fit: ...", the first of them.
std::string FittingLayouts(const ModelSpec& spec, uint32_t ranks) {
  constexpr size_t kNamed = 8;
  std::vector<std::string> names;
  for (const Layout& valid : ValidLayouts(spec, ranks)) names.push_back(LayoutName(valid));
  const size_t more = names.size() - std::min(names.size(), kNamed);
  names.resize(names.size() - more);
  return absl::StrCat("layouts of ", ranks, ranks == 1 ? " rank" : " ranks",
                      " that fit: ", absl::StrJoin(names, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

}  // namespace

absl::Status CheckLayout(const ModelSpec& spec, const Layout& layout) {
  const Sizes sizes(layout);
  RETURN_IF_ERROR(CheckMagnitude(sizes));
  if (sizes.dp > 1) {
    return absl::UnimplementedError(absl::StrCat("attention dp ", sizes.dp, " is not supported"));
  }
  const std::string misfit = Misfit(spec, sizes);
  if (misfit.empty()) return absl::OkStatus();

  return absl::InvalidArgumentError(absl::StrCat("layout ", LayoutName(layout), " does not fit ",
                                                 spec.name, ": ", misfit, "; ",
                                                 FittingLayouts(spec, WorldSize(layout))));
}

absl::Status CheckPoolSize(const ModelSpec& spec, const Layout& layout, uint32_t workers) {
  const uint32_t needed = WorldSize(layout);
  if (needed <= workers) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("layout ", LayoutName(layout), " needs ", needed, " workers, the pool has ",
                   workers, workers > 0 ? absl::StrCat("; ", FittingLayouts(spec, workers)) : ""));
}

std::vector<Layout> ValidLayouts(const ModelSpec& spec, uint32_t ranks) {
  std::vector<Layout> valid;
  for (uint32_t copies : DivisorsOf(ranks)) {
    for (uint32_t pp : DivisorsOf(ranks / copies)) {
      const uint32_t tp = ranks / copies / pp;
      for (uint32_t ep : DivisorsOf(tp)) {
        Layout layout = ToLayout(tp, pp, ep, copies);
        if (Misfit(spec, Sizes(layout)).empty()) valid.push_back(std::move(layout));
      }
    }
  }
  return valid;
}

RankPosition PositionOf(const ModelSpec& spec, const Layout& layout, uint32_t rank) {
  const Sizes sizes(layout);
  CHECK_LT(rank, RanksPerCopy(layout));
  CHECK(sizes.dp == 1 && Misfit(spec, sizes).empty()) << LayoutName(layout);
  RankPosition position;
  position.stage = rank / sizes.tp;
  position.tp_rank = rank % sizes.tp;
  position.expert_tp_rank = position.tp_rank % sizes.expert_tp;
  position.ep_rank = position.tp_rank / sizes.expert_tp;
  const int pp = static_cast<int>(sizes.pp);
  const int stage = static_cast<int>(position.stage);
  const int each = spec.num_layers / pp;
  const int extra = spec.num_layers % pp;
  position.first_layer = stage * each + std::min(stage, extra);
  position.end_layer = position.first_layer + each + (stage < extra ? 1 : 0);
  position.first_stage = stage == 0;
  position.last_stage = stage == pp - 1;
  return position;
}

}  // namespace regatta
