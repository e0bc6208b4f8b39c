// Every limit that a file, a cable or a person can run into. Checked before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>

namespace base::limits {

inline constexpr std::uint64_t kMebibyte = 1U << 20;

// A package as it crosses the gap.
inline constexpr std::size_t kManifestBytes = 4U << 20;         // the signed manifest, DSSE envelope included
inline constexpr std::size_t kReceiptBytes = 16U << 20;         // the signed receipt, DSSE envelope included
inline constexpr std::size_t kPackageFiles = 5000;              // files in one request
inline constexpr std::uint64_t kPackageBytes = 16ULL << 30;     // all files of one request together
inline constexpr std::uint64_t kFileBytes = (4ULL << 30) - 1;   // one file; also the end of a PE's 32-bit offsets
inline constexpr std::size_t kPathBytes = 240;                  // a path inside a package; Windows' MAX_PATH less room
inline constexpr std::size_t kPathDepth = 16;                   // folders inside folders
inline constexpr std::size_t kRequestsOnAStick = 1000;          // request folders looked at on one medium
inline constexpr std::size_t kUnfinishedParcels = 8;            // half-received requests kept for another attempt
inline constexpr std::size_t kRequestsWaiting = 200;            // requests the appliance holds at a time
inline constexpr std::size_t kRefusalsKept = 500;               // refusals at the door in the outbox: anybody can have them made
inline constexpr std::uint64_t kKeptFree = 64U << 20;           // of the appliance's disk, which no request takes
inline constexpr std::size_t kFolderEntries = 70000;        // names looked at in one folder; FAT allows 65536

// Words and lists inside a manifest.
inline constexpr std::size_t kNameBytes = 64;      // profile, submitter, officer, operation, OS target
inline constexpr std::size_t kNoteBytes = 2000;    // a submitter's note, an officer's reason
inline constexpr std::size_t kOsTargets = 64;
inline constexpr std::size_t kOperations = 8;

// A response: signing makes files longer and adds catalogs.
inline constexpr std::size_t kOutputFiles = kPackageFiles + 200;   // kCatalogs, below
inline constexpr std::uint64_t kOutputBytes = 2 * kPackageBytes;

// JSON, and what it describes.
inline constexpr std::size_t kJsonDepth = 8;               // objects and lists inside one another
inline constexpr std::size_t kAuditLineBytes = 64U << 10;
inline constexpr std::size_t kCheckpointBytes = 64U << 10;    // a signed note, also with a proof before it
inline constexpr std::size_t kCheckpointSignatures = 16;      // C2SP signed-note: at least so many must be taken
inline constexpr std::size_t kProofHashes = 64;               // as many as a tree of 2^64 leaves is high
inline constexpr std::size_t kLogAnchorBytes = 64U << 10;
inline constexpr std::size_t kAuditData = 32;              // fields in the data of one audit line

// DER.
inline constexpr std::size_t kDerDepth = 24;
inline constexpr std::size_t kSignatureBytes = 48U << 20;   // one SignedData: page hashes of a 4 GiB image are 36 MiB
inline constexpr std::size_t kCertificates = 32;            // in one SignedData or chain file
inline constexpr std::size_t kSigners = 8;
inline constexpr std::size_t kNestedSignatures = 16;
inline constexpr std::size_t kSignatures = 600;             // told of one file: kWinCertificates entries with kNestedSignatures each, and room
inline constexpr std::size_t kAttributes = 64;
inline constexpr std::size_t kWinCertificates = 32;
inline constexpr std::size_t kCertificateBytes = 64U << 10;
inline constexpr std::size_t kPemBytes = 1U << 20;
inline constexpr std::size_t kRevocationListBytes = 16U << 20;
inline constexpr std::size_t kRevokedCertificates = 200000;   // in one list

// PE.
inline constexpr std::size_t kPeHeaderBytes = 1U << 20;   // DOS stub, headers and section table
inline constexpr std::size_t kSections = 96;              // the Windows loader's own limit
inline constexpr std::size_t kImports = 2000;             // DLLs that one image imports from
inline constexpr std::size_t kImportNameBytes = 256;
inline constexpr std::size_t kResourceEntries = 8192;     // looked through in one level of the resource tree
inline constexpr std::size_t kVersionResourceBytes = 64U << 10;
inline constexpr std::size_t kVersionEntries = 1000;      // strings of one version resource
inline constexpr std::size_t kDenyListBytes = 8U << 20;
inline constexpr std::size_t kDenyListRules = 50000;
inline constexpr std::size_t kBlockListXmlBytes = 32U << 20;   // Microsoft's driver block list

// Cabinets.
inline constexpr std::size_t kCabFolders = 4096;
inline constexpr std::size_t kCabReserveBytes = 60000;   // "cbCFHeader: maximum 60,000", [MS-CAB] section 2.1

// Timestamps.
inline constexpr std::size_t kTimestampBytes = 256U << 10;   // one reply of a timestamp authority
inline constexpr std::size_t kNestingDepth = 4;              // signatures inside signatures

// Catalogs.
inline constexpr std::size_t kCatalogBytes = 64U << 20;
inline constexpr std::size_t kCatalogMembers = 20000;
inline constexpr std::size_t kCatalogAttributes = 20000;
inline constexpr std::size_t kCatalogs = 200;              // catalogs of one package
static_assert(kOutputFiles == kPackageFiles + kCatalogs);
inline constexpr std::size_t kAttributeTextBytes = 4096;   // one name or value

// INF.
inline constexpr std::size_t kInfBytes = 16U << 20;
inline constexpr std::size_t kInfLines = 200000;
inline constexpr std::size_t kInfLineBytes = 64U << 10;
inline constexpr std::size_t kInfSections = 20000;
inline constexpr std::size_t kInfFields = 1000000;   // between commas, in the whole file
inline constexpr std::size_t kInfDevices = 20000;    // lines of models sections
inline constexpr std::size_t kInfs = 200;   // in one package

// What the jailed inspector may answer.
inline constexpr std::size_t kInspectionBytes = 32U << 20;
inline constexpr std::size_t kFindings = 2000;
inline constexpr std::size_t kFacts = 2000;
inline constexpr std::size_t kFactTextBytes = 4096;

// Custody.
inline constexpr std::size_t kOfficers = 7;
inline constexpr std::size_t kSigningSet = 500;      // digests under one approval; tickets live 300 s
inline constexpr std::size_t kOwnerCommands = 32;    // under one approval of the administrators
inline constexpr std::size_t kPinBytes = 32;         // the TPM's limit for an authorisation value
inline constexpr std::size_t kKeyBlobBytes = 4096;   // one half of a TPM key's file
inline constexpr std::size_t kPinDigits = 6;         // the least we accept

// Sockets and cables.
inline constexpr std::size_t kConsoleMessageBytes = 4U << 20;
inline constexpr std::size_t kFrameBytes = 8U << 10;

}  // namespace base::limits
