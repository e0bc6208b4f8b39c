#include "appliance/admin/ceremony_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "appliance/admin/people.hpp"
#include "appliance/configuration.hpp"
#include "appliance/key_store.hpp"
#include "appliance/toml_fields.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {
namespace {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using toml_fields::expect_only;
using toml_fields::list_at;
using toml_fields::text_at;

constexpr std::uint64_t kFileBytes = 64U << 10;

Result<std::uint64_t> number_at(const toml::table& table, std::string_view where, std::string_view key) {
  const auto value = table[key].value<std::int64_t>();
  if (!value || *value < 0) return fail(Errc::malformed, fmt::format("{} needs {} = a number", where, key));
  return static_cast<std::uint64_t>(*value);
}

Result<const toml::table*> table_at(const toml::table& file, std::string_view name) {
  const toml::table* const table = file[name].as_table();
  if (table == nullptr) return fail(Errc::malformed, fmt::format("[{}] is missing", name));
  return table;
}

Result<unsigned> quorum_of(const toml::table& table, std::string_view where, const std::vector<std::string>& people) {
  const std::uint64_t quorum = TRY(number_at(table, where, "quorum"));
  if (std::set<std::string>(people.begin(), people.end()).size() != people.size())
    return fail(Errc::malformed, fmt::format("{}: somebody is named twice", where));
  if (people.size() > base::limits::kOfficers)
    return fail(Errc::malformed, fmt::format("{}: {} people, at most {}", where, people.size(), base::limits::kOfficers));
  if (quorum < 2 || quorum > people.size())
    return fail(Errc::malformed, fmt::format("{}: a quorum of {} of {}: at least 2, and not more than there are", where, quorum, people.size()));
  for (const std::string& person : people) TRY(base::within(std::string(where), expect_person_name(person)));
  return static_cast<unsigned>(quorum);
}

Result<CeremonyClass> class_of(const toml::table& table) {
  CeremonyClass made;
  made.name = TRY(text_at(table, "[[key_class]]", "name"));
  if (!is_plain_name(made.name) || made.name == "receipt" || made.name == "firmware")
    return fail(Errc::malformed, fmt::format("key class \"{}\": lower-case letters, digits, - and _ only; receipt and firmware are the "
                                             "appliance's own", printable(made.name)));
  const std::string where = "key class " + made.name;
  TRY(expect_only(table, where, {"name", "quorum", "officers"}));
  made.officers = TRY(list_at(table, where, "officers"));
  made.quorum = TRY(quorum_of(table, where, made.officers));
  return made;
}

}  // namespace

Result<CeremonyFile> CeremonyFile::load(const std::filesystem::path& file) {
  const base::Bytes text = TRY(usb::read_file(file, kFileBytes));
  const auto read = [&]() -> Result<CeremonyFile> {
    const toml::parse_result parsed = toml::parse(base::as_text(text));
    if (!parsed)
      return fail(Errc::malformed, fmt::format("line {}: {}", parsed.error().source().begin.line, printable(parsed.error().description())));
    const toml::table& top = parsed.table();
    TRY(expect_only(top, "the file", {"ceremony", "firmware", "administrators", "key_class"}));
    const toml::table* const general = TRY(table_at(top, "ceremony"));
    TRY(expect_only(*general, "[ceremony]", {"title", "mode"}));
    const std::string title = TRY(text_at(*general, "[ceremony]", "title"));
    const std::string mode_text = TRY(text_at(*general, "[ceremony]", "mode"));
    const std::optional<attest::Mode> mode = attest::mode_from_name(mode_text);
    if (!mode) return fail(Errc::malformed, fmt::format("[ceremony]: mode = \"{}\"; production or development wanted", printable(mode_text)));

    const toml::table* const firmware = TRY(table_at(top, "firmware"));
    TRY(expect_only(*firmware, "[firmware]", {"vendor_keys", "approval", "floor"}));
    const std::vector<std::string> key_files = TRY(list_at(*firmware, "[firmware]", "vendor_keys"));
    if (key_files.size() != 2) return fail(Errc::malformed, "[firmware]: two vendor_keys wanted, so that one may be lost");
    std::vector<crypto::PublicKey> vendors;
    base::ByteWriter everything;
    everything.put_counted(text);
    for (const std::string& key_file : key_files) {
      const base::Bytes pem = TRY(usb::read_file(file.parent_path() / key_file, base::limits::kPemBytes));
      crypto::PublicKey key = TRY(base::within(printable(key_file), crypto::PublicKey::parse_pem(base::as_text(pem))));
      TRY(base::within(printable(key_file), attest::ExternalKey::of(key.der())));
      everything.put_counted(key.der());
      vendors.push_back(std::move(key));
    }
    if (vendors[0] == vendors[1]) return fail(Errc::malformed, "[firmware]: the two vendor keys are the same");
    TRY(base::within("[firmware]", expect_vendors_for(*mode, vendors)));
    const std::string approval_file = TRY(text_at(*firmware, "[firmware]", "approval"));
    tpm::FirmwareApproval approval = TRY(read_firmware_approval(file.parent_path() / approval_file));
    everything.u64le(approval.version).put_counted(approval.policy.bytes()).put_counted(approval.signature);
    const std::uint64_t floor = TRY(number_at(*firmware, "[firmware]", "floor"));
    if (floor > approval.version)
      return fail(Errc::malformed, fmt::format("[firmware]: floor = {} is above the approved version {}", floor, approval.version));

    const toml::table* const administrators = TRY(table_at(top, "administrators"));
    TRY(expect_only(*administrators, "[administrators]", {"quorum", "names"}));
    std::vector<std::string> names = TRY(list_at(*administrators, "[administrators]", "names"));
    const unsigned administrators_quorum = TRY(quorum_of(*administrators, "[administrators]", names));

    std::vector<CeremonyClass> classes;
    const toml::array* const tables = top["key_class"].as_array();
    if (tables == nullptr || tables->empty() || tables->size() > attest::kKeyClasses)
      return fail(Errc::malformed, fmt::format("1 to {} [[key_class]] wanted", attest::kKeyClasses));
    for (const toml::node& node : *tables) {
      const toml::table* const table = node.as_table();
      if (table == nullptr) return fail(Errc::malformed, "[[key_class]] is not a table");
      CeremonyClass made = TRY(class_of(*table));
      for (const CeremonyClass& other : classes)
        if (other.name == made.name) return fail(Errc::malformed, fmt::format("key class \"{}\" is there twice", made.name));
      classes.push_back(std::move(made));
    }
    return CeremonyFile{title,  *mode, std::move(vendors), std::move(approval), floor, administrators_quorum, std::move(names),
                        std::move(classes), crypto::sha256(everything.bytes())};
  };
  return base::within(printable(file.string()), read());
}

}  // namespace appliance
