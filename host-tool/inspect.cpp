// coldseal inspect: what the appliance will say about a package, before anyone walks to it.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/package/os_targets.hpp"
#include "host-tool/command.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/report.hpp"

namespace host_tool {
namespace {

using base::Result;

struct InspectOptions {
  std::string path;
  std::string os = "10_X64";
  bool json = false;
};

Result<Exit> inspect(const InspectOptions& options, base::Time now) {
  const auto targets = TRY(base::within("--os", package::os_targets_from_list(options.os)));
  std::vector<std::string> names;
  for (const package::OsTarget* const target : targets) names.emplace_back(target->name);
  std::error_code ignored;
  const PackageFolder folder = TRY(std::filesystem::is_directory(options.path, ignored)
                                       ? PackageFolder::open(options.path)
                                       : PackageFolder::of_file(options.path));
  package::Inspection inspection = package::inspect(folder.sources(), names, now);
  for (const std::string& problem : folder.path_problems())
    inspection.findings.push_back({"package.path", package::Severity::error, "", 0, problem, "rename or remove the file"});
  if (options.json)
    print_json(inspection_json(inspection));
  else
    print_inspection(inspection);
  return inspection.has_errors() ? Exit::refused : Exit::done;
}

}  // namespace

void add_inspect(base::Command& app, Run& run, base::Time now) {
  base::Command command = app.sub(
      "inspect", "Shows what is in a driver package and everything that is wrong with it, as the appliance will see it.");
  const auto options = std::make_shared<InspectOptions>();
  command.option("PATH", options->path, "Folder of the package, or one file").required();
  command.option("--os", options->os, "Operating systems, as Inf2Cat's /os: takes them").shows_default();
  command.flag("--json", options->json, "One JSON object instead of text");
  command.footer("Example:\n  coldseal inspect ./mydriver --os 10_X64,10_RS5_ARM64");
  command.when_chosen([options, &run, now] { run = [options, now] { return inspect(*options, now); }; });
}

}  // namespace host_tool
