// The commands under `coldseal catalog`, one file each.
#pragma once

#include "host-tool/command.hpp"

namespace host_tool {

void add_catalog_create(base::Command& catalog, Run& run, base::Time now);
void add_catalog_show(base::Command& catalog, Run& run, base::Time now);
void add_catalog_diff(base::Command& catalog, Run& run);

}  // namespace host_tool
