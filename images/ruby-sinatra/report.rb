# Reports over the words of the shop.
module Shop::Report
  def self.yaml(words)
    require 'yaml'
    YAML.dump(words)
  end

  def self.digest(words)
    require 'digest'
    Digest::SHA256.hexdigest(words.values.sort.join)
  end

  def self.date(_words)
    require 'date'
    require 'time'
    Date.parse('2024-02-29').yday.to_s + Time.parse('2024-02-29 12:00 UTC').iso8601
  end

  def self.csv(words)
    require 'csv'
    CSV.generate { |csv| words.each { |pair| csv << pair } }
  end
end
