#* Mean of numbers
#* @param n how many
#* @get /mean
function(n = 10) { list(mean = mean(seq_len(as.integer(n)))) }

#* A regression
#* @get /fit
function() { m <- lm(dist ~ speed, data = cars); as.list(coef(m)) }

#* A picture
#* @serializer png
#* @get /plot
function() { plot(1:10, main = "hello") }

#* A drawing
#* @serializer svg
#* @get /svg
function() { plot(1:10) }

#* A page
#* @serializer html
#* @get /page
function() { "<h1>Hi</h1>" }

#* A table
#* @serializer json
#* @get /table
function() { head(mtcars, 2) }

#* A date
#* @get /when
function(z = "UTC") { format(as.POSIXct("2024-07-01 12:00", tz = "UTC"), tz = z, usetz = TRUE) }

#* Text
#* @post /upper
function(req, text = "") { toupper(text) }

#* A mistake
#* @get /boom
function() { stop("boom") }

#* Splines, by a package that is loaded late
#* @get /spline
function() { sum(splines::bs(1:10, df = 4)[2, ]) }

#* Several processes
#* @get /par
function() { unlist(parallel::mclapply(1:3, function(i) i * i)) }

#* Encodings
#* @get /enc
function() { iconv("gr\xfc\xdfe", "latin1", "UTF-8") }
