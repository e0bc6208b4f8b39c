// The commands of `coldseal`, one file each. Each adds itself to the command line and, when it was chosen, sets `run`.
#pragma once

#include <functional>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"

namespace host_tool {

enum class Exit : int {
  done = 0,       // done, valid; warnings included
  refused = 1,    // refused, invalid, an error finding
  unusable = 2,   // usage, or input that cannot be read
};
Exit exit_for(const base::Error& error);

using Run = std::function<base::Result<Exit>()>;

// now: the wall clock, read once by main().
void add_key(base::Command& app, Run& run);
void add_request(base::Command& app, Run& run, base::Time now);
void add_send(base::Command& app, Run& run);
void add_collect(base::Command& app, Run& run);
void add_inspect(base::Command& app, Run& run, base::Time now);
void add_catalog(base::Command& app, Run& run, base::Time now);
void add_verify(base::Command& app, Run& run, base::Time now);
void add_signature(base::Command& app, Run& run);
void add_audit(base::Command& app, Run& run);
void add_slip(base::Command& app, Run& run);
void add_verify_transcript(base::Command& app, Run& run);
void add_timestamp(base::Command& app, Run& run);

}  // namespace host_tool
