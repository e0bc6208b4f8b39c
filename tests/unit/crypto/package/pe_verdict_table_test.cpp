// The tables of docs/verification.md, row by row: what signing and verifying say of damaged and unusual PE
// images. They are those of a list that crashed other signers, made anew here.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "crypto/formats/pe_image.hpp"
#include "crypto/package/verification.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/verdicts.hpp"

namespace {

using base::Bytes;
using base::Errc;
using base::MemorySource;
using package::Severity;
using package::Verdict;
using tests::get_field;
using tests::has;
using tests::ids;
using tests::put_field;
using tests::Vendor;

struct Fields {   // offsets in an image
  explicit Fields(const Bytes& file)
      : pe(get_field(file, 0x3C)), optional(pe + 24), directory(optional + (get_field(file, optional, 2) == 0x20B ? 144 : 128)),
        sections(optional + get_field(file, pe + 20, 2)) {}
  std::size_t section(std::size_t i) const { return sections + 40 * i; }
  std::size_t pe, optional, directory, sections;
};

Bytes with(const std::function<void(Bytes&, const Fields&)>& change, const tests::PeDescription& from = tests::driver_description()) {
  Bytes file = tests::build_pe(from);
  change(file, Fields(file));
  return file;
}
Bytes described(const std::function<void(tests::PeDescription&)>& change) {
  tests::PeDescription description = tests::driver_description();
  change(description);
  return tests::build_pe(description);
}

enum class Signs { yes, ambiguous, no };
enum class Pages { yes, undefined };
struct PeCase {
  std::string name;
  Bytes file;
  Signs signs;
  Pages pages = Pages::yes;   // of an image that is signed
};

std::vector<PeCase> pe_cases() {
  std::vector<PeCase> cases = {
      {"PE32+", described([](auto&) {}), Signs::yes},
      {"PE32", tests::build_pe(tests::program_description(false)), Signs::yes},
      {"EFI", described([](auto& d) { d.subsystem = 11; }), Signs::yes},
      {"ARM64", described([](auto& d) { d.machine = 0xAA64; }), Signs::yes},
      {"overlay", described([](auto& d) { d.overlay = Bytes(1000, 0x4F); }), Signs::yes},
      {"e_lfanew 0x40", described([](auto& d) { d.e_lfanew = 0x40; }), Signs::yes},
      {"e_lfanew 0x84", described([](auto& d) { d.e_lfanew = 0x84; }), Signs::yes},
      {"e_lfanew 0x400", described([](auto& d) { d.e_lfanew = 0x400; }), Signs::yes},
      {"no CheckSum", with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 64, 0); }), Signs::yes},
      {"section headers not in file order", with([](Bytes& b, const Fields& f) {
         std::swap_ranges(b.begin() + static_cast<std::ptrdiff_t>(f.section(0)), b.begin() + static_cast<std::ptrdiff_t>(f.section(1)),
                          b.begin() + static_cast<std::ptrdiff_t>(f.section(1)));
       }),
       Signs::yes},
      {"SectionAlignment 64 KiB", with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 32, 0x10000); }), Signs::yes},
      {"SectionAlignment 0x200", with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 32, 0x200); }), Signs::yes,
       Pages::undefined},
      {"SectionAlignment 0", with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 32, 0); }), Signs::yes, Pages::undefined},
      {"no sections", with([](Bytes& b, const Fields& f) { put_field(b, f.pe + 6, 0, 2); }), Signs::yes, Pages::undefined},
      {"NumberOfRvaAndSizes 0xFFFFFFFF", with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 108, 0xFFFFFFFF); }), Signs::yes},
      {"five data directories", described([](auto& d) { d.directories = 5; }), Signs::yes},
      {"gap after the headers", with([](Bytes& b, const Fields& f) {
         b.insert(b.begin() + static_cast<std::ptrdiff_t>(get_field(b, f.optional + 60)), 0x200, 0);
         for (std::size_t i = 0; i < get_field(b, f.pe + 6, 2); ++i) put_field(b, f.section(i) + 20, get_field(b, f.section(i) + 20) + 0x200);
       }),
       Signs::ambiguous},
      {"gap between sections", with([](Bytes& b, const Fields& f) { put_field(b, f.section(1) + 16, get_field(b, f.section(1) + 16) - 0x200); }),
       Signs::ambiguous},
      {"overlapping sections", with([](Bytes& b, const Fields& f) { put_field(b, f.section(1) + 20, get_field(b, f.section(1) + 20) - 0x200); }),
       Signs::ambiguous},
      {"SizeOfHeaders past the first section",
       with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 60, get_field(b, f.section(0) + 20) + 0x200); }), Signs::ambiguous},
      {"section emptied, its pointer wild", with([](Bytes& b, const Fields& f) {
         put_field(b, f.section(1) + 16, 0);
         put_field(b, f.section(1) + 20, 0xDEADBEEF);
       }),
       Signs::ambiguous},
      {"SizeOfHeaders past the end", with([](Bytes& b, const Fields& f) { put_field(b, f.optional + 60, 0xFFFFF000); }), Signs::no},
      {"section past the end", with([](Bytes& b, const Fields& f) { put_field(b, f.section(3) + 16, get_field(b, f.section(3) + 16) + 0x1000); }),
       Signs::no},
      {"certificate directory past the end", with([](Bytes& b, const Fields& f) {
         put_field(b, f.directory, b.size());
         put_field(b, f.directory + 4, 0x1000);
       }),
       Signs::no},
      {"certificate directory that wraps", with([](Bytes& b, const Fields& f) {
         put_field(b, f.directory, 0xFFFFFFF8);
         put_field(b, f.directory + 4, 0x4008);
       }),
       Signs::no},
      {"certificate directory with an offset and no size", with([](Bytes& b, const Fields& f) { put_field(b, f.directory, 0x400); }), Signs::no},
      {"certificate directory inside a section", with([](Bytes& b, const Fields& f) {
         put_field(b, f.directory, get_field(b, f.section(1) + 20));
         put_field(b, f.directory + 4, b.size() - get_field(b, f.section(1) + 20));
       }),
       Signs::ambiguous},
      {"65535 sections", with([](Bytes& b, const Fields& f) { put_field(b, f.pe + 6, 0xFFFF, 2); }), Signs::no},
      {"optional header of 16 bytes", with([](Bytes& b, const Fields& f) { put_field(b, f.pe + 20, 16, 2); }), Signs::no},
      {"four data directories", described([](auto& d) { d.directories = 4; }), Signs::no},
      {"ROM magic", with([](Bytes& b, const Fields& f) { put_field(b, f.optional, 0x107, 2); }), Signs::no},
      {"e_lfanew that wraps", with([](Bytes& b, const Fields&) { put_field(b, 0x3C, 0xFFFFFFF0); }), Signs::no},
      {"e_lfanew at the end", with([](Bytes& b, const Fields&) { put_field(b, 0x3C, b.size() - 8); }), Signs::no},
      {"e_lfanew 0x3C", with([](Bytes& b, const Fields&) { put_field(b, 0x3C, 0x3C); }), Signs::no},
      {"MZ only", [] {
         Bytes b(64);
         b[0] = 'M';
         b[1] = 'Z';
         return b;
       }(),
       Signs::no},
      {"empty file", {}, Signs::no},
  };
  for (std::size_t odd = 1; odd < 8; ++odd)
    cases.push_back({"size of remainder " + std::to_string(odd), described([&](auto& d) { d.overlay = Bytes(odd, 0x4F); }), Signs::yes});
  return cases;
}

TEST(VerdictTable, SigningAnUnusualImageSaysWhatTheTableSays) {
  Vendor vendor;
  for (const PeCase& each : pe_cases()) {
    SCOPED_TRACE(each.name);
    const MemorySource source(each.file);
    const auto image = formats::PeImage::parse(source);
    const Verdict as_it_is = package::verify_pe(source, {vendor.root()}, tests::kNow);
    EXPECT_FALSE(as_it_is.valid());   // not signed, whatever else it is
    if (each.signs != Signs::yes) {
      ASSERT_FALSE(image);
      EXPECT_EQ(image.error().code() == Errc::refused, each.signs == Signs::ambiguous) << image.error().text();
      EXPECT_TRUE(has(as_it_is, each.signs == Signs::ambiguous ? "pe.ambiguous-layout" : "pe.not-readable", Severity::error))
          << ids(as_it_is);
      continue;
    }
    ASSERT_TRUE(image) << image.error().text();
    EXPECT_TRUE(has(as_it_is, "pe.not-signed", Severity::error)) << ids(as_it_is);
    EXPECT_EQ(image->page_layout().has_value(), each.pages == Pages::yes);
    const Bytes done = vendor.sign_pe(each.file);
    const Verdict verdict = package::verify_pe(MemorySource(done), {vendor.root()}, tests::kNow);
    EXPECT_TRUE(verdict.findings.empty()) << ids(verdict);   // a wrong CheckSum is put right as well
  }
}

struct SignedCase {
  std::string name;
  std::string id;   // of the finding; empty for none
  Severity severity;
  std::function<Bytes(Bytes)> change;
};

// The image up to its table, and a table of those bytes.
Bytes with_table(Bytes file, const Bytes& table, std::size_t gap = 0) {
  const Fields f(file);
  file.resize(get_field(file, f.directory));
  file.resize(file.size() + gap);
  put_field(file, f.directory, file.size());
  put_field(file, f.directory + 4, table.size());
  base::append(file, table);
  return file;
}
Bytes entry_of(const Bytes& file) {
  return Bytes(file.begin() + static_cast<std::ptrdiff_t>(get_field(file, Fields(file).directory)), file.end());
}
std::function<Bytes(Bytes)> changed_entry(const std::function<void(Bytes&)>& change) {
  return [change](Bytes file) {
    Bytes entry = entry_of(file);
    change(entry);
    return with_table(file, entry);
  };
}
std::function<Bytes(Bytes)> flipped(const std::function<std::size_t(const Bytes&)>& at) {
  return [at](Bytes file) {
    file.at(at(file)) ^= 1;
    return file;
  };
}

std::vector<SignedCase> signed_cases() {
  const auto der_size = [](const Bytes& entry) { return 4 + (std::size_t{entry.at(10)} << 8) + entry.at(11); };
  return {
      {"untouched", "", Severity::error, [](Bytes file) { return file; }},
      {"CheckSum changed", "pe.checksum", Severity::warning,
       [](Bytes file) {
         put_field(file, Fields(file).optional + 64, 0x12345678);
         return file;
       }},
      {"dwLength without its padding", "pe.checksum", Severity::warning,
       changed_entry([=](Bytes& entry) { put_field(entry, 0, 8 + der_size(entry)); })},
      {"two entries", "pe.several-entries", Severity::warning,
       [](Bytes file) {
         Bytes twice = entry_of(file);
         base::append(twice, entry_of(file));
         return with_table(file, twice);
       }},
      {"an EFI entry before the signature", "pe.several-entries", Severity::warning,
       [](Bytes file) {
         Bytes table(24);
         put_field(table, 0, 24);
         put_field(table, 4, 0x0200, 2);
         put_field(table, 6, 0x0EF1, 2);
         base::append(table, entry_of(file));
         return with_table(file, table);
       }},
      {"DOS stub changed", "pe.digest-mismatch", Severity::error, flipped([](const Bytes&) { return 0x50U; })},
      {"header changed", "pe.digest-mismatch", Severity::error,
       flipped([](const Bytes& file) { return Fields(file).optional + 34; })},
      {"last byte changed", "pe.digest-mismatch", Severity::error,
       flipped([](const Bytes& file) { return get_field(file, Fields(file).directory) - 1; })},
      {"table at an offset that is no multiple of 8", "pe.digest-mismatch", Severity::error,
       [](Bytes file) { return with_table(file, entry_of(file), 4); }},
      {"4 KiB of zeros inside the entry", "pe.table-stuffed", Severity::error,   // MS13-098
       changed_entry([](Bytes& entry) {
         entry.resize(entry.size() + 4096);
         put_field(entry, 0, entry.size());
       })},
      {"8 zeros inside the entry", "pe.table-stuffed", Severity::error, changed_entry([=](Bytes& entry) {
         entry.resize(8 + der_size(entry) + 8);
         put_field(entry, 0, entry.size());
       })},
      {"a byte other than zero in the padding", "pe.table-stuffed", Severity::error, changed_entry([=](Bytes& entry) {
         entry.resize(8 + der_size(entry) + 1);
         entry.back() = 1;
         put_field(entry, 0, entry.size());
       })},
      {"4 KiB of zeros after the entry", "pe.table-malformed", Severity::error,
       changed_entry([](Bytes& entry) { entry.resize(entry.size() + 4096); })},
      {"dwLength 0", "pe.table-malformed", Severity::error, changed_entry([](Bytes& entry) { put_field(entry, 0, 0); })},
      {"dwLength 7", "pe.table-malformed", Severity::error, changed_entry([](Bytes& entry) { put_field(entry, 0, 7); })},
      {"dwLength that wraps", "pe.table-malformed", Severity::error, changed_entry([](Bytes& entry) { put_field(entry, 0, 0xFFFFFFF8); })},
      {"dwLength past the directory", "pe.table-malformed", Severity::error,
       changed_entry([](Bytes& entry) { put_field(entry, 0, entry.size() + 8); })},
      {"revision 1.0", "pe.table-malformed", Severity::error, changed_entry([](Bytes& entry) { put_field(entry, 4, 0x0100, 2); })},
      {"dwLength 8, an entry of nothing", "signature.malformed", Severity::error, [](Bytes file) {
         Bytes entry = entry_of(file);
         entry.resize(8);
         put_field(entry, 0, 8);
         return with_table(file, entry);
       }},
      {"bytes after the table", "pe.not-readable", Severity::error,
       [](Bytes file) {
         file.resize(file.size() + 64, 'J');
         return file;
       }},
      {"directory shorter than the table", "pe.not-readable", Severity::error,
       [](Bytes file) {
         const std::size_t at = Fields(file).directory + 4;
         put_field(file, at, get_field(file, at) - 8);
         return file;
       }},
      {"an entry of type X.509 only", "pe.not-signed", Severity::error, changed_entry([](Bytes& entry) { put_field(entry, 6, 1, 2); })},
      {"an entry of type 3 only", "pe.not-signed", Severity::error, changed_entry([](Bytes& entry) { put_field(entry, 6, 3, 2); })},
  };
}

TEST(VerdictTable, VerifyingAChangedImageSaysWhatTheTableSays) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Bytes good = vendor.sign_pe(tests::build_pe(tests::driver_description()));
  for (const SignedCase& each : signed_cases()) {
    SCOPED_TRACE(each.name);
    const Bytes file = each.change(good);
    const Verdict verdict = package::verify_pe(MemorySource(file), {vendor.root()}, tests::kNow);
    EXPECT_EQ(verdict.valid(), each.id.empty() || each.severity == Severity::warning) << ids(verdict);
    if (each.id.empty())
      EXPECT_TRUE(verdict.findings.empty()) << ids(verdict);
    else
      EXPECT_TRUE(has(verdict, each.id, each.severity)) << ids(verdict);
  }
}

TEST(VerdictTable, SigningAnImageAgainAtAnUnalignedTableGivesAGoodOne) {
  Vendor vendor;
  const Bytes good = vendor.sign_pe(tests::driver_of_size(0x2000));
  const Bytes again = vendor.sign_pe(with_table(good, entry_of(good), 4));
  const Verdict verdict = package::verify_pe(MemorySource(again), {vendor.root()}, tests::kNow);
  EXPECT_TRUE(verdict.findings.empty()) << ids(verdict);
  EXPECT_EQ(get_field(again, Fields(again).directory) % 8, 0U);
}

}  // namespace
