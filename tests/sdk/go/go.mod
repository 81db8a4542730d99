module tollgate-caller

go 1.19

require github.com/tollgate-relay/tollgate-go v0.0.0

replace github.com/tollgate-relay/tollgate-go => ./client
