// The load of a point in files of other tools: their own fields say it as far as they can, and all
// of it stands beside them in `regatta`, under the names of results.json.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "orchestrator/formats/json_fields.h"
#include "proto/results.pb.h"

namespace regatta {

// The object for `regatta`: "concurrency", "protocol", "layout" of the server, and "load".
nlohmann::ordered_json OurLoad(const RegattaInfo& info);

// Takes it from a file that has it; false where there is none.
bool ReadOurLoad(const JsonFields& file, RegattaInfo& info);

// Refuses an 'arrival' of `fields` that `load` with its rate, or without one, cannot have.
void CheckArrival(const JsonFields& fields, const LoadShape& load);

// Gaps of a gamma process as other tools call them by their shape: 1 is Poisson, infinity constant.
// Changes nothing unless there is a rate.
void SetGaps(double shape, LoadShape& load);
// The same the other way round; 1 where requests have no gaps, nullopt where it is not on record.
std::optional<double> ShapeOfGaps(const LoadShape& load);

// Users of a closed loop, or everything at once where `concurrency` is 0: for files whose load has
// neither a rate nor a trace.
void SetUsers(uint32_t concurrency, RegattaInfo& info);

}  // namespace regatta
