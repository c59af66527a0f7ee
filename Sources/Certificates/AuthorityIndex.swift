import FoundationEssentials

/// Everything that an authority has issued, in that order, and the number of its last revocation list.
struct AuthorityIndex: Hashable, Sendable {
  var listNumber: Int64
  var records: [CertificateRecord]

  /// What a list must revoke.
  var revoked: [RevocationList.Entry] {
    records.compactMap { record in
      record.revocation.map {
        RevocationList.Entry(serial: record.serial, revokedAt: $0.at, reason: $0.reason)
      }
    }
  }

  /// The last record of each name, in the order in which the names came up first.
  var newest: [CertificateRecord] {
    var places: [CertificateName: Int] = [:]
    var newest: [CertificateRecord] = []
    for record in records {
      if let place = places[record.name] {
        newest[place] = record
      } else {
        places[record.name] = newest.count
        newest.append(record)
      }
    }
    return newest
  }

  func bytes() throws(AuthorityError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do { return Array(try encoder.encode(IndexFile(self))) + Array("\n".utf8) } catch {
      throw .damaged(
        "the index can't be written as JSON", hint: "this is a fault of Switchyard: please report it")
    }
  }

  init(listNumber: Int64, records: [CertificateRecord]) {
    self.listNumber = listNumber
    self.records = records
  }

  /// Reads an index; nothing in it is taken on trust.
  init(_ bytes: [UInt8]) throws(AuthorityError) {
    let hint = "restore index.json from a backup"
    let file: IndexFile
    do { file = try JSONDecoder().decode(IndexFile.self, from: Data(bytes)) } catch {
      throw .damaged("it is not the JSON that an authority writes", hint: hint)
    }
    guard file.version == IndexFile.version else {
      throw .damaged(
        "its version is \(file.version), and this program knows \(IndexFile.version)",
        hint: "use the program that wrote it")
    }
    // A number that can't grow any more could never be followed by another list.
    guard (1...Int64.max / 2).contains(file.list) else {
      throw .damaged("its list's number, \(file.list), can't be", hint: hint)
    }
    var records: [CertificateRecord] = []
    var serials: Set<CertificateSerial> = []
    for (place, row) in file.certificates.enumerated() {
      guard let record = row.record else {
        throw .damaged("certificate \(place + 1) of it is not what an authority writes", hint: hint)
      }
      guard serials.insert(record.serial).inserted else {
        throw .damaged("certificate \(record.serial) stands in it twice", hint: hint)
      }
      records.append(record)
    }
    self.init(listNumber: file.list, records: records)
  }
}
