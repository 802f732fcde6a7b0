// RegattaInfo.search_role: what a run of a search was measured for. Empty of any other run.
#pragma once

namespace regatta {

// Loads that a search chose.
inline constexpr char kSearchRole[] = "search";
// Those that confirm the best of them with fresh prompts.
inline constexpr char kConfirmRole[] = "confirm";
// Larger ones than what is recommended.
inline constexpr char kOverloadRole[] = "overload";
// Runs under other limits than the sweep's, which are kept beside it.
inline constexpr char kTunedRole[] = "tuned";
// Runs that were measured again, longer, since they could not tell how many users ran.
inline constexpr char kTooShortRole[] = "too-short";

}  // namespace regatta
