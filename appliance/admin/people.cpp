#include "appliance/admin/people.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/configuration.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;

Result<base::SecretBytes> new_pin(const std::string& person, Terminal& terminal) {
  for (;;) {
    base::SecretBytes first = TRY(terminal.ask_secret(fmt::format("{}: new PIN (at least {} characters): ", person, base::limits::kPinDigits)));
    if (first.size() < base::limits::kPinDigits) {
      terminal.show("too short");
      continue;
    }
    const base::SecretBytes second = TRY(terminal.ask_secret(fmt::format("{}: the same PIN again: ", person)));
    if (base::equal_secrets(first.reveal(), second.reveal())) return first;
    terminal.show("the two differ");
  }
}

Result<base::SecretBytes> ask_pin(const std::string& person, Terminal& terminal) {
  return terminal.ask_secret(fmt::format("PIN of {}: ", printable(person)));
}

Result<std::vector<tpm::Approval>> collect_approvals(unsigned needed, const std::string& role, Terminal& terminal,
                                                     const ApproveAs& approve, const OnFailure& on_failure) {
  std::vector<tpm::Approval> approvals;
  while (approvals.size() < needed) {
    const std::string name = TRY(terminal.ask(fmt::format("{} ({} more needed, Enter to stop): ", role, needed - approvals.size())));
    if (name.empty()) return fail(Errc::refused, "stopped; nothing was done");
    const bool repeated =
        std::any_of(approvals.begin(), approvals.end(), [&](const tpm::Approval& approval) { return approval.officer() == name; });
    if (repeated) {
      terminal.show(fmt::format("{} has approved already", printable(name)));
      continue;
    }
    base::SecretBytes pin = TRY(ask_pin(name, terminal));
    Result<tpm::Approval> approval = approve(name, std::move(pin));
    if (!approval) TRY(on_failure(name, approval.error().text()));
    if (!approval && approval.error().code() == Errc::tpm) return tl::unexpected<base::Error>(approval.error());
    if (!approval) {
      terminal.show("not done: " + printable(approval.error().text()));
      continue;
    }
    approvals.push_back(std::move(*approval));
  }
  return approvals;
}

Result<void> expect_person_name(const std::string& name) {
  if (!is_plain_name(name))
    return fail(Errc::usage, fmt::format("\"{}\": lower-case letters, digits, - and _ only", printable(name)));
  if (name.size() < 2) return fail(Errc::usage, fmt::format("\"{}\": single letters are answers at the console", name));
  return {};
}

}  // namespace appliance
